"""Oscillation of the game: reported only, because a run that circles its equilibrium has not failed.

Games without an attracting equilibrium circle it (Mescheder et al. 2018, arXiv:1801.04406, section 2); along
such a path the dynamics rotate (Berard et al. 2020, arXiv:1906.04848). What is looked at is the correlogram
of the discriminator's logit gap (Box and Jenkins 1970): a high peak after it was below zero.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from ganbench.judging.gradients import Players, column, judging
from ganbench.judging.outcomes import Behaviour, Remark
from ganbench.judging.thresholds import Thresholds
from ganbench.stats import autocorrelation

_COARSE = 256  # means at least that a half of the run is cut into, to see a slow swing through noise
_TROUGH = 0.2  # share of a peak that must lie below zero before it; a swing of short pulses has no more
_SIGMAS = 4.0  # that a peak of the correlogram must stand above white noise


def remarks(players: Players, t: Thresholds, judges: Collection[str]) -> Iterator[Remark]:
    """One of each judge whose logit gap oscillates over the last half of its steps."""
    for player, rows in judging(players, judges):
        gap = column(rows, "logit_gap")
        tail = gap[gap.size // 2 :]
        # 8 values are the least that give two in each quarter; a gap that is not finite has no correlogram.
        if gap.size < 8 or not np.isfinite(gap).all() or _fades(gap, t.oscillate_amplitude):
            continue
        # From single steps to coarser means, in which noise over a slow swing averages out; the finest wins.
        blocks = [1 << k for k in range(max(1, (tail.size // _COARSE).bit_length()))]
        period = next(filter(None, (_period(tail, block, t) for block in blocks)), None)
        if period:
            swing = (
                f"{player} logit gap with a period of about {period} steps over the last {tail.size} steps"
            )
            yield Remark(Behaviour.OSCILLATING, f"oscillating: {swing}")


def _fades(gap: np.ndarray, share: float) -> bool:
    """Whether the last quarter swings far less than one of the two before."""
    spread = [float(quarter.std()) for quarter in np.array_split(gap, 4)[1:]]
    return spread[-1] <= share * max(spread)


def _period(values: np.ndarray, block: int, t: Thresholds) -> int | None:
    """Period in steps of a series, seen in means of blocks; None where it has none."""
    count = values.size // block
    means = values[: count * block].reshape(count, block).mean(axis=1)
    longest = count // t.oscillate_periods
    if longest < 2:
        return None
    correlation = autocorrelation(means)[: longest + 1]
    # The correlogram of white noise has a standard deviation of about 1 / sqrt(n) (Bartlett 1946).
    high = max(t.oscillate_correlation, _SIGMAS / np.sqrt(count))
    below = np.flatnonzero(correlation <= -_TROUGH * high)
    later = correlation[below[0] :] if below.size else np.empty(0)
    if not below.size or later.max() < high:
        return None
    # Multiples of the period peak nearly as high: the first within a tenth of the highest is the period.
    first = int(np.argmax(later >= 0.9 * later.max()))
    rising = np.diff(later[first:], append=-np.inf) >= 0
    return (int(below[0]) + first + int(np.argmin(rising))) * block
