"""Failures that the traces show: diverged, exploded, vanished, saturated."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pandas as pd

from ganbench.judging.outcomes import Outcome, Verdict
from ganbench.judging.thresholds import Thresholds
from ganbench.stats import bridged, first_stretch, running_median

_PROBES = {
    "loss": "loss",
    "grad_norm": "gradient norm",
    "update_norm": "update norm",
    "weight_norm": "weight norm",
}

Players = Mapping[str, pd.DataFrame]
"""Player -> its rows of the trace, in order of steps."""


def diverged(trace: pd.DataFrame) -> Verdict | None:
    """The first non-finite number, by step, then by order of rows (players), then of probes."""
    names = [name for name in _PROBES if name in trace]
    bad = ~np.isfinite(trace[names].to_numpy(dtype=np.float64))
    rows = np.flatnonzero(bad.any(axis=1))
    if not rows.size:
        return None
    steps = trace["step"].to_numpy()
    # argmin takes the first of equal steps: the rows of one step are in the order of players.
    row = rows[np.argmin(steps[rows])]
    player, probe, step = str(trace["player"].iloc[row]), names[int(np.argmax(bad[row]))], int(steps[row])
    reason = f"{player} {_PROBES[probe]} became non-finite at step {step}"
    return _seen(Outcome.DIVERGED, (step, step), player, probe, reason)


def exploded(players: Players, t: Thresholds) -> Iterator[Verdict]:
    """A gradient norm far above the largest that was usual so far."""
    for player, rows in players.items():
        norm = column(rows, "grad_norm")
        # The largest median so far: to come back from a quiet spell is no explosion.
        usual = np.fmax.accumulate(running_median(norm, t.median_window, t.history))
        with np.errstate(invalid="ignore"):
            stretch = first_stretch((norm > t.explode_ratio * usual) & (usual > 0), t.explode_steps)
        if stretch:
            first, last = stretch
            peak, base = norm[first : last + 1].max(), usual[first]
            evidence = _span(rows, first, last)
            rise = f"rose from a median of {base:.3g} to {peak:.3g} from step {evidence[0]} on"
            reason = f"{player} gradient norm {rise}"
            yield _seen(Outcome.EXPLODED, evidence, player, "grad_norm", reason)


def vanished(players: Players, t: Thresholds, judges: Collection[str]) -> Iterator[Verdict]:
    """A gradient norm far below what is usual, of a player that does not judge, while the game goes on."""
    at_rest = _steps_at_rest(players, t, judges)
    for player, rows in players.items():
        if player in judges:  # a judge that has won has no gradient left: it is saturated
            continue
        norm = column(rows, "grad_norm")
        usual = running_median(norm, t.median_window, t.history)
        with np.errstate(invalid="ignore"):
            # Zero is not below a share of zero: a norm that has long been zero needs a case of its own.
            low = (norm < t.vanish_ratio * usual) | ((norm == 0) & (usual == 0))
        going = low & ~np.isin(rows["step"].to_numpy(), at_rest)
        stretch = first_stretch(bridged(going, t.explode_steps), t.vanish_steps)
        if stretch:
            first, last = stretch
            evidence = _span(rows, first, last)
            low_norm, length = np.median(norm[first : last + 1]), last - first + 1
            fall = f"fell from a median of {usual[first]:.3g} to {low_norm:.3g}"
            reason = f"{player} gradient norm {fall} for {length} steps from step {evidence[0]} on"
            yield _seen(Outcome.VANISHED, evidence, player, "grad_norm", reason)


def saturated(players: Players, t: Thresholds, judges: Collection[str]) -> Iterator[Verdict]:
    """A judge that is right on nearly everything, for long."""
    for player, rows in judging(players, judges):
        accuracies = {name: column(rows, name) for name in ("real_accuracy", "fake_accuracy")}
        worse = np.minimum(*accuracies.values())
        stretch = first_stretch(bridged(worse > t.saturate_accuracy, t.explode_steps), t.saturate_steps)
        if stretch:
            first, last = stretch
            evidence, length = _span(rows, first, last), last - first + 1
            # both had to pass the threshold: the lower one is what decided
            probe = min(accuracies, key=lambda name: float(accuracies[name][first : last + 1].mean()))
            span = f"for {length} steps from step {evidence[0]} on"
            reason = f"{player} accuracies on real and on fake stayed above {t.saturate_accuracy:g} {span}"
            yield _seen(Outcome.SATURATED, evidence, player, probe, reason)


def judging(players: Players, judges: Collection[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The players that judge, and their rows."""
    return ((player, rows) for player, rows in players.items() if player in judges)


def column(rows: pd.DataFrame, name: str) -> np.ndarray:
    """A probe in float64; NaN where there is none."""
    return rows[name].to_numpy(dtype=np.float64) if name in rows else np.full(len(rows), np.nan)


def _steps_at_rest(players: Players, t: Thresholds, judges: Collection[str]) -> np.ndarray:
    """Steps at which some judge's logit gap is far below what is usual for it."""
    steps = [np.empty(0, dtype=np.int64)]
    for _, rows in judging(players, judges):
        if "logit_gap" in rows:
            gap = np.abs(column(rows, "logit_gap"))
            usual = running_median(gap, t.median_window, t.history)
            steps.append(rows["step"].to_numpy()[gap <= t.rest_ratio * usual])
    return np.concatenate(steps)


def _span(rows: pd.DataFrame, first: int, last: int) -> tuple[int, int]:
    steps = rows["step"].to_numpy()
    return int(steps[first]), int(steps[last])


def _seen(outcome: Outcome, evidence: tuple[int, int], player: str, probe: str, reason: str) -> Verdict:
    """What a trace showed, from the first step of the evidence on."""
    return Verdict(outcome, evidence[0], reason, evidence, seen_by="trace", player=player, probe=probe)
