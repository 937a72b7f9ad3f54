"""Statistics as pure functions on arrays: no rows, no plots, no randomness of their own.

Infinite values are legal: a failed run ranks worst, so its value is inf or -inf, never left out.
Bootstrap intervals come from an explicit `numpy.random.Generator`.
"""

from ganbench.stats.central import iqm, median
from ganbench.stats.intervals import (
    Interval,
    MedianInterval,
    Statistic,
    bootstrap_interval,
    iqm_interval,
    median_interval,
    wilson,
)
from ganbench.stats.multiple import holm
from ganbench.stats.profiles import performance_profile
from ganbench.stats.ranks import RankTest, least_p, mann_whitney, superiority, superiority_interval
from ganbench.stats.rates import rates_differ
from ganbench.stats.sensitivity import Effect, marginal_effects, stable_volume
from ganbench.stats.series import (
    autocorrelation,
    bridged,
    first_reached,
    first_stretch,
    running_median,
    stretches,
)
from ganbench.stats.survival import (
    Survival,
    kaplan_meier,
    log_rank,
    restricted_mean,
    restricted_mean_interval,
)
from ganbench.stats.tasks import critical_difference, friedman, wilcoxon_holm

__all__ = [
    "Effect",
    "Interval",
    "MedianInterval",
    "RankTest",
    "Statistic",
    "Survival",
    "autocorrelation",
    "bootstrap_interval",
    "bridged",
    "critical_difference",
    "first_reached",
    "first_stretch",
    "friedman",
    "holm",
    "iqm",
    "iqm_interval",
    "kaplan_meier",
    "least_p",
    "log_rank",
    "mann_whitney",
    "marginal_effects",
    "median",
    "median_interval",
    "performance_profile",
    "rates_differ",
    "restricted_mean",
    "restricted_mean_interval",
    "running_median",
    "stable_volume",
    "stretches",
    "superiority",
    "superiority_interval",
    "wilcoxon_holm",
    "wilson",
]
