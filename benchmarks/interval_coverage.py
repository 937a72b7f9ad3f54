"""How often intervals hold the truth, and how often nothing is called something: by simulation.

python -m benchmarks.interval_coverage [--out docs/statistics.md]

Writes its table into the page, between the markers.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ganbench import stats
from ganbench.report.tables import markdown_table

SEEDS = (5, 10, 20)
BUDGET = 100.0
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
Sampler = Callable[[np.random.Generator, int], np.ndarray]
Drawn = Callable[[np.random.Generator, int], stats.Interval]


class Row(NamedTuple):
    """One line of the table: what was tried, and the share of hits at each number of seeds."""

    what: str
    data: str
    shares: tuple[float, ...]


def normal(generator: np.random.Generator, n: int) -> np.ndarray:
    """Away from 0, at which intervals of positive values end."""
    return generator.normal(10.0, size=n)


def skewed(generator: np.random.Generator, n: int) -> np.ndarray:
    """Such as FIDs: a long upper tail."""
    return generator.lognormal(sigma=0.8, size=n)


def modes(generator: np.random.Generator, n: int) -> np.ndarray:
    """Such as counts of modes: few values, many ties."""
    return generator.binomial(25, 0.9, size=n).astype(np.float64)


def grouped(generator: np.random.Generator, n: int) -> np.ndarray:
    """Three runs in ten end far away, without failing."""
    return normal(generator, n) + 10.0 * (generator.random(n) < 0.3)


def failing(share: float, shift: float = 0.0) -> Sampler:
    """Normal values, and a share of failed runs."""
    return lambda generator, n: np.where(generator.random(n) < share, math.inf, normal(generator, n) + shift)


SAMPLERS: dict[str, Sampler] = {
    "normal": normal,
    "lognormal": skewed,
    "modes of 25": modes,
    "two groups": grouped,
    "normal, 10% failed": failing(0.1),
    "normal, 30% failed: infinite": failing(0.3),
}
PAIRS: dict[str, tuple[Sampler, Sampler]] = {
    "normal, alike": (normal, normal),
    "normal, some apart": (normal, failing(0.0, 1.0)),
    "normal, far apart": (normal, failing(0.0, 2.5)),
    "30% and 30% failed": (failing(0.3), failing(0.3)),
    "none and 50% failed": (normal, failing(0.5)),
    "40% and 10% failed, apart": (failing(0.4), failing(0.1, 2.0)),
}
TIMES: dict[str, Sampler] = {
    "rare failures, 5%": lambda g, n: np.where(g.random(n) < 0.05, g.exponential(30.0, n), math.inf),
    "early failures, 20%": lambda g, n: np.where(g.random(n) < 0.2, g.exponential(10.0, n), math.inf),
    "all the time, 86%": lambda g, n: g.exponential(50.0, n),
}
REGIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "a half": lambda points: points[:, 0] < 0.5,
    "19 of 20": lambda points: points.max(axis=1) < math.sqrt(0.95),
    "a soft edge": lambda points: 1 / (1 + np.exp(8 * (points[:, 0] - 0.6))),
}


def rows(trials: int, seed: int = 0) -> Iterator[Row]:
    """Every line of the table about intervals."""
    generator = np.random.default_rng(seed)

    def hits(drawn: Drawn, truth: float, few: int = 1) -> tuple[float, ...]:
        return tuple(_held(drawn, truth, n, trials // few, generator) for n in SEEDS)

    for rate in (0.05, 0.2, 0.5):
        yield Row("failure rate (Wilson)", f"rate {rate:g}", tuple(_rate(rate, n) for n in SEEDS))
    for name, sampler in SAMPLERS.items():
        truth = float(np.median(_finished(sampler)(generator, 4_000_000)))
        yield Row("median of finished runs (`median_interval`)", name, hits(_median(sampler), truth))
        truth = float(stats.iqm(sampler(generator, 4_000_000)))
        yield Row("IQM (`iqm_interval`)", name, hits(_iqm(sampler), truth))
        yield Row("IQM (percentile bootstrap)", name, hits(_bootstrap(sampler), truth))
        yield Row("IQM (BCa bootstrap)", name, hits(_bca(sampler), truth, few=4))
    for name, (x, y) in PAIRS.items():
        truth = stats.superiority(x(generator, 1_000_000), y(generator, 1_000_000))
        yield Row(
            "P(X < Y) (`superiority_interval`)", f"{name}: {truth:.2f}", hits(_superiority(x, y), truth)
        )
    for name, times in TIMES.items():
        truth = float(np.minimum(times(generator, 4_000_000), BUDGET).mean())
        yield Row("restricted mean time", name, hits(_restricted(times), truth))
    for name, region in REGIONS.items():
        truth = float(region(generator.random((1_000_000, 2))).mean())
        yield Row("stable share, 25 points", name, hits(_volume(region), truth))


def false_alarms(suites: int, seed: int = 0, variants: int = 10) -> Iterator[Row]:
    """Share of suites without any difference in which a pair of variants is called different."""
    what = f"some pair of {variants} called different"
    metric, rates = [], []
    for n in SEEDS:
        generator = np.random.default_rng(seed)
        drawn = failing(0.1)(generator, suites * variants * n).reshape(suites, variants, n)
        metric.append(np.mean([_any(runs, _metric_p) for runs in drawn]))
        failed = generator.binomial(n, 0.3, (suites, variants, 1))
        rates.append(np.mean([_any(counts, lambda x, y, n=n: _rate_p(x, y, n)) for counts in failed]))
    yield Row(f"{what} (Mann-Whitney, Holm)", "no difference, 10% failed", tuple(metric))
    yield Row(f"{what} (Barnard, Holm)", "no difference, 30% failed", tuple(rates))


def _any(runs: np.ndarray, p_value: Callable[[np.ndarray, np.ndarray], float]) -> bool:
    p = [p_value(x, y) for i, x in enumerate(runs) for y in runs[i + 1 :]]
    return bool((stats.holm(np.array(p)) <= 0.05).any())


def _metric_p(x: np.ndarray, y: np.ndarray) -> float:
    return stats.mann_whitney(x, y).p


def _rate_p(x: np.ndarray, y: np.ndarray, n: int) -> float:
    return stats.rates_differ(int(min(x, y)[0]), n, int(max(x, y)[0]), n)


def _held(drawn: Drawn, truth: float, n: int, trials: int, generator: np.random.Generator) -> float:
    found = (drawn(generator, n) for _ in range(trials))
    return float(np.mean([low <= truth <= high for low, high in found]))


def _rate(rate: float, n: int) -> float:
    """Exactly: the chance of the counts whose interval holds the rate."""
    chances = [math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)]
    held = [stats.wilson(k, n).low <= rate <= stats.wilson(k, n).high for k in range(n + 1)]
    return float(np.dot(chances, held))


def _finished(sampler: Sampler) -> Sampler:
    """The law of the runs that finish: until there are n of them."""

    def draw(generator: np.random.Generator, n: int) -> np.ndarray:
        values = sampler(generator, 4 * n + 40)
        return values[np.isfinite(values)][:n]

    return draw


def _median(sampler: Sampler) -> Drawn:
    return lambda generator, n: stats.median_interval(_finished(sampler)(generator, n))[:2]


def _iqm(sampler: Sampler) -> Drawn:
    return lambda generator, n: stats.iqm_interval(sampler(generator, n), generator)


def _bootstrap(sampler: Sampler) -> Drawn:
    return lambda generator, n: stats.bootstrap_interval(
        sampler(generator, n), stats.iqm, generator, resamples=500
    )


def _bca(sampler: Sampler) -> Drawn:
    return lambda generator, n: bca_interval(sampler(generator, n), stats.iqm, generator, resamples=500)


def bca_interval(
    values: np.ndarray,
    statistic: stats.Statistic,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> stats.Interval:
    """Bootstrap interval, corrected for bias and skewness (Efron 1987, BCa).

    Not `scipy.stats.bootstrap`, which returns NaN where values are constant or infinite: there, where the
    correction is not defined, this is the percentile interval.
    """
    values = np.asarray(values, dtype=np.float64)
    ordered = np.sort(statistic(values[generator.integers(values.size, size=(resamples, values.size))]))
    tails = _corrected((1 - level) / 2, ordered, values, statistic)
    low, high = tails or ((1 - level) / 2, (1 + level) / 2)
    return stats.Interval(
        float(np.quantile(ordered, low, method="lower")), float(np.quantile(ordered, high, method="higher"))
    )


def _corrected(
    tail: float, ordered: np.ndarray, values: np.ndarray, statistic: stats.Statistic
) -> tuple[float, float] | None:
    """The corrected quantiles (Efron 1987, eq. 3.9); None where the correction is not defined."""
    estimate = statistic(values)
    jackknife = np.array([statistic(np.delete(values, i)) for i in range(values.size)])
    with np.errstate(invalid="ignore"):
        spread = jackknife.mean() - jackknife
    below = ((ordered < estimate).mean() + (ordered <= estimate).mean()) / 2
    if not (np.isfinite(spread).all() and spread.any() and 0 < below < 1):
        return None
    normal = NormalDist()
    bias = normal.inv_cdf(float(below))
    acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    shifted = [bias + normal.inv_cdf(quantile) for quantile in (tail, 1 - tail)]
    low, high = (normal.cdf(bias + q / (1 - acceleration * q)) for q in shifted)
    return low, high


def _superiority(x: Sampler, y: Sampler) -> Drawn:
    return lambda generator, n: stats.superiority_interval(x(generator, n), y(generator, n))


def _restricted(times: Sampler) -> Drawn:
    def drawn(generator: np.random.Generator, n: int) -> stats.Interval:
        time = times(generator, n)
        return stats.restricted_mean_interval(np.minimum(time, BUDGET), time < BUDGET, BUDGET)

    return drawn


def _volume(region: Callable[[np.ndarray], np.ndarray]) -> Drawn:
    """25 points at random, n seeds of each."""

    def drawn(generator: np.random.Generator, n: int) -> stats.Interval:
        stable = generator.random((25, n)) < region(generator.random((25, 2)))[:, None]
        return stats.stable_volume(np.repeat(np.arange(25), n), stable.ravel())[1]

    return drawn


def table(found: list[Row]) -> str:
    """As Markdown."""
    lines = [[row.what, row.data, *(f"{share:.3f}" for share in row.shares)] for row in found]
    return markdown_table(["what", "data", *(f"n = {n}" for n in SEEDS)], lines, right=(2, 3, 4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/statistics.md"))
    parser.add_argument("--trials", type=int, default=4000)
    given = parser.parse_args()
    made = table([*rows(given.trials), *false_alarms(1000)])
    before, _, rest = given.out.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    given.out.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
