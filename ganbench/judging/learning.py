"""Runs that never learnt: a player that stood still, or no metric that became better than at step 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ganbench.judging.collapse import Curve
from ganbench.judging.gradients import Players, column
from ganbench.judging.outcomes import Outcome, Verdict
from ganbench.judging.thresholds import Thresholds


def still(players: Players, t: Thresholds) -> Iterator[Verdict]:
    """Players whose parameters or whose loss did not move in a whole run."""
    for player, rows in players.items():
        steps = rows["step"].to_numpy()
        # the way that the parameters went, at most as far as all updates together
        moved = column(rows, "update_norm").sum() / max(column(rows, "weight_norm").max(), 1e-300)
        loss = column(rows, "loss")
        spread, size = np.ptp(loss), np.abs(loss).max()
        if moved <= t.stagnant_movement:
            probe, what = "update_norm", f"moved by {moved:.2g} of their norm"
            reason = f"{player} never learnt: its parameters {what} in {len(steps)} steps"
        elif len(steps) > t.history and spread <= t.stagnant_loss * size:
            probe, reason = "loss", f"{player} never learnt: its loss stayed at {loss[0]:.6g}"
        else:
            continue
        evidence = int(steps[0]), int(steps[-1])
        yield Verdict(
            Outcome.STAGNANT, evidence[0], reason, evidence, seen_by="trace", player=player, probe=probe
        )


def no_gain(
    curves: Sequence[Curve], t: Thresholds, directions: Mapping[str, str], modes: int | None
) -> Verdict | None:
    """No metric became better than at step 0, at two evaluations in turn; None where some did.

    Metrics that begin at their best, or have no value at step 0 or few later, say nothing.
    """
    judged = [
        (curve, better)
        for curve in curves
        if (better := _better(curve.known, t, directions.get(curve.recorded), modes)) is not None
    ]
    if not judged or any(better for _, better in judged):
        return None
    curve = judged[0][0].known
    first, best = curve.values[0], _best(curve.values[1:], directions[curve.recorded])
    reason = f"never learnt: {curve.metric} was {first:.4g} at step 0 and {best:.4g} at its best later"
    if len(judged) > 1:
        reason += f"; none of {len(judged)} metrics gained"
    evidence = int(curve.steps[1]), int(curve.steps[-1])
    return Verdict(
        Outcome.STAGNANT, evidence[0], reason, evidence, seen_by="evaluation", probe=curve.recorded
    )


def _better(curve: Curve, t: Thresholds, direction: str | None, modes: int | None) -> bool | None:
    """Whether a metric gained; None where it says nothing."""
    if direction is None or curve.metric in t.descriptive_metrics:
        return None
    if curve.values.size <= t.stagnant_evaluations or curve.steps[0] != 0:
        return None
    if not np.isfinite(curve.values[0]):
        return None
    sign = 1.0 if direction == "higher" else -1.0
    if curve.metric == "modes" and curve.values[0] == modes:
        return None
    gains = sign * (curve.values[1:] - curve.values[0]) > t.stagnant_gain * abs(curve.values[0])
    # one good evaluation among bad ones may be luck of its draws
    return bool((gains[1:] & gains[:-1]).any())


def _best(values: np.ndarray, direction: str) -> float:
    return float(values.max() if direction == "higher" else values.min())
