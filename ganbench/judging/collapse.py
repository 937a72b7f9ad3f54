"""Failures that the evaluations show: diverged, collapsed, unstable; and what fell and came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganbench.judging.outcomes import Behaviour, Outcome, Remark, Verdict
from ganbench.judging.thresholds import Thresholds
from ganbench.stats import stretches

COUNTS = ("modes", "stacked-modes", "active-units")
"""Metrics whose values alone show a collapse; those of `coverage_metrics` show it by a relapse."""
STACKED_MODES = 1000
"""Modes that the metric stacked-modes counts: three digits."""


class Curve(NamedTuple):
    """A metric over training.

    Arguments:
        metric: its name as thresholds have it, with "-" for "_".
        recorded: its name in the rows of evaluations.
    """

    metric: str
    recorded: str
    values: np.ndarray
    steps: np.ndarray
    n: float
    """Samples that a value was taken from; inf where that is not known."""

    @property
    def known(self) -> Curve:
        """The curve without its NaN values."""
        there = ~np.isnan(self.values)
        return self._replace(values=self.values[there], steps=self.steps[there])


class Ending(NamedTuple):
    """How the rows of a run end, and so what its last evaluations can prove."""

    whole: bool
    """It trained its budget."""
    hold: float | None
    """Steps that a fall must have lasted, in a run that was stopped on purpose; None in any other."""


class Fall(NamedTuple):
    """A curve that can fall, and what it is called if it does not get up again."""

    curve: Curve
    low: np.ndarray
    """One flag an evaluation."""
    outcome: Outcome
    least: int
    """Evaluations at the end that must be low."""
    reason: Callable[[int], str]
    """From the index of the first of them."""


def falls(
    evals: pd.DataFrame, t: Thresholds, directions: Mapping[str, str], modes: int | None, warm: float
) -> Iterator[Fall]:
    """Every curve that can fall; none is low before step `warm`, unless it was from the first."""
    mode_counts = {"modes": modes, "stacked-modes": STACKED_MODES}
    for whole in curves_of(evals):
        if whole.metric in t.finite_metrics:
            yield _not_finite(whole)
        curve = whole.known
        # Without a known number of modes nothing can be missing.
        total = mode_counts.get(curve.metric)
        if total:
            yield _modes(curve, t.modes_ratio, total)
        elif curve.metric == "active-units":
            yield _below(curve, t.units_floor, "posterior collapse: {} active units")
        direction = directions.get(curve.recorded, directions.get(curve.metric))
        if curve.metric in t.coverage_metrics:
            lower = direction == "lower"
            if not lower:
                yield _below(curve, t.coverage_floor, f"mode collapse: {curve.metric} of {{}}")
            what = f"mode collapse: {curve.metric}"
            yield _relapse(curve, t, lower, warm, Outcome.COLLAPSED, what, t.relapse_share)
        elif curve.metric in t.relapse_metrics:
            lower = direction != "higher"
            yield _relapse(curve, t, lower, warm, Outcome.UNSTABLE, curve.metric, t.relapse_share)
        elif direction and curve.metric not in (*COUNTS, *t.descriptive_metrics):
            lower = direction == "lower"
            yield _relapse(curve, t, lower, warm, Outcome.UNSTABLE, curve.metric, t.relapse_gain, after=0)


def failures(fall: Fall, ending: Ending, warm: float) -> Iterator[Verdict]:
    """Low from some evaluation after the warm-up to the last one.

    A run that ended early never had its time: there it must have been better before, and low at the last
    two evaluations. Where it was stopped on purpose, it must have been low for long.
    """
    low, steps = fall.low, fall.curve.steps
    if not low.size or not low[-1]:
        return
    # The evaluation after the last good one; a run that was never good fell at its first.
    first = 0 if low.all() else int(np.flatnonzero(~low)[-1]) + 1
    # A run that ended early might have recovered: it takes a good evaluation, then two low ones at least.
    fell = 0 < first < low.size - 1
    first = max(first, int(np.searchsorted(steps, warm)))
    if low.size - first < fall.least:
        return
    onset, last = int(steps[first]), int(steps[-1])
    proven = ending.whole or fell if ending.hold is None else last - onset >= ending.hold
    if proven:
        evidence, reason = (onset, last), fall.reason(first)
        metric = fall.curve.recorded
        yield Verdict(fall.outcome, onset, reason, evidence, seen_by="evaluation", probe=metric)


def remark(fall: Fall, returns: int, warm: float) -> Remark | None:
    """What fell after the warm-up and came back, and how often; None where nothing did."""
    metric, steps, last = fall.curve.metric, fall.curve.steps, fall.low.size - 1
    spells = [s for s in stretches(fall.low) if s[0] > 0 and s[1] < last and steps[s[0]] >= warm]
    if not spells:
        return None
    fell = int(steps[spells[0][0]])
    back = int(steps[spells[-1][1] + 1])
    if len(spells) >= returns:
        swings = f"{metric} fell and came back {len(spells)} times from step {fell} to {back}"
        return Remark(Behaviour.OSCILLATING, f"oscillating: {swings}")
    again = " again and again" if len(spells) > 1 else ""
    relief = f"{metric} fell{again} from step {fell} on and was back at step {back}"
    return Remark(Behaviour.RECOVERED, f"recovered: {relief}")


def curves_of(evals: pd.DataFrame) -> Iterator[Curve]:
    """One a metric; of the averaged weights where a run has both."""
    if evals.empty:
        return
    # Results report the averaged weights where there are some, so these are judged.
    if "weights" in evals and (evals["weights"] == "ema").any():
        evals = evals[evals["weights"] == "ema"]
    for metric, rows in evals.groupby("metric", sort=False, observed=True):
        rows = rows.sort_values("step", kind="stable")
        n = float(rows["n"].iloc[-1]) if "n" in rows else np.inf
        values = rows["value"].to_numpy(dtype=np.float64)
        # Thresholds name metrics as suites do, with "-"; recorded values may have "_".
        yield Curve(str(metric).replace("_", "-"), str(metric), values, rows["step"].to_numpy(), n)


def _not_finite(curve: Curve) -> Fall:
    """Low where a measure of finite samples would be finite: they, or their features, overflow."""

    def reason(first: int) -> str:
        return f"{curve.metric} was not finite from step {int(curve.steps[first])} on"

    return Fall(curve, ~np.isfinite(curve.values), Outcome.DIVERGED, 1, reason)


def _modes(curve: Curve, ratio: float, total: int) -> Fall:
    # Few samples of the data themselves would not show every mode either.
    expected = total * (1 - (1 - 1 / total) ** curve.n) if total > 1 else 1.0
    few = f" ({curve.n:g} samples of the data show {expected:.0f})" if expected < 0.99 * total else ""
    return _below(curve, ratio * expected, f"mode collapse: {{}} of {total} modes{few}")


def _below(curve: Curve, floor: float, what: str) -> Fall:
    """Low where the value is below a floor. Training begins there."""

    def reason(first: int) -> str:
        least, most = curve.values[first:].min(), curve.values[first:].max()
        count = f"{most:g}" if least == most else f"at most {most:g}"
        return f"{what.format(count)} from step {int(curve.steps[first])} on"

    return Fall(curve, curve.values < floor, Outcome.COLLAPSED, 1, reason)


def _relapse(
    curve: Curve,
    t: Thresholds,
    lower: bool,
    warm: float,
    outcome: Outcome,
    what: str,
    share: float,
    after: float = -1,
) -> Fall:
    """Low where the value is much worse than the run's best so far, by that share of what was gained.

    Arguments:
        after: the step after which a value can be the best. Samples that all lie in one point, as those of
            untrained networks may, look precise.
    """
    values = curve.values
    # The best of all before, not of all so far: otherwise no value could be worse than itself, and the first
    # one, which has none before it, is no relapse (NaN compares false).
    counted = np.where(curve.steps > after, values, np.nan)
    best = (np.fmin if lower else np.fmax).accumulate(counted)
    best = np.concatenate([[np.nan], best])[: values.size]
    # NaN at the first evaluation compares false, which is meant; numpy would warn.
    with np.errstate(invalid="ignore"):
        worse = values > t.relapse_ratio * best if lower else values * t.relapse_ratio < best
        # Near a metric's optimum a factor of two is noise: what is lost must be a share of what was gained
        # since the first evaluation, too. A measure that may be negative (best <= 0) has no ratio.
        much = np.abs(values - best) > share * np.abs(values[:1] - best)
        low = worse & much & (best > 0) & (curve.steps >= warm)

    def reason(first: int) -> str:
        now, step = values[first], int(curve.steps[first])
        return f"{what} was {now:.4g} at step {step}, {best[first]:.4g} at its best before"

    return Fall(curve, low, outcome, t.relapse_evaluations, reason)
