"""Failures that the traces show: diverged, exploded, vanished, saturated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from ganbench.judging.outcomes import Verdict
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
    row = rows[np.argmin(steps[rows])]
    player, probe = trace["player"].iloc[row], _PROBES[names[int(np.argmax(bad[row]))]]
    step = int(steps[row])
    return Verdict("diverged", step, f"{player} {probe} became non-finite at step {step}", (step, step))


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
            onset, evidence = _span(rows, first, last)
            yield Verdict(
                "exploded",
                onset,
                f"{player} gradient norm rose from a median of {base:.3g} to {peak:.3g} from step {onset} on",
                evidence,
            )


def vanished(players: Players, t: Thresholds) -> Iterator[Verdict]:
    """A gradient norm far below what is usual, of a player that does not judge, while the game goes on."""
    at_rest = _steps_at_rest(players, t)
    for player, rows in players.items():
        if judges(player, rows):
            continue
        norm = column(rows, "grad_norm")
        usual = running_median(norm, t.median_window, t.history)
        with np.errstate(invalid="ignore"):
            low = (norm < t.vanish_ratio * usual) | ((norm == 0) & (usual == 0))
        going = low & ~np.isin(rows["step"].to_numpy(), at_rest)
        stretch = first_stretch(bridged(going, t.explode_steps), t.vanish_steps)
        if stretch:
            first, last = stretch
            onset, evidence = _span(rows, first, last)
            low_norm, length = np.median(norm[first : last + 1]), last - first + 1
            yield Verdict(
                "vanished",
                onset,
                f"{player} gradient norm fell from a median of {usual[first]:.3g} to {low_norm:.3g} "
                f"for {length} steps from step {onset} on",
                evidence,
            )


def saturated(players: Players, t: Thresholds) -> Iterator[Verdict]:
    """A discriminator that is right on nearly everything, for long."""
    for player, rows in players.items():
        if not judges(player, rows):
            continue
        worse = np.minimum(column(rows, "real_accuracy"), column(rows, "fake_accuracy"))
        stretch = first_stretch(bridged(worse > t.saturate_accuracy, t.explode_steps), t.saturate_steps)
        if stretch:
            first, last = stretch
            onset, evidence = _span(rows, first, last)
            yield Verdict(
                "saturated",
                onset,
                f"{player} accuracies on real and on fake stayed above {t.saturate_accuracy:g} "
                f"for {last - first + 1} steps from step {onset} on",
                evidence,
            )


def judges(player: str, rows: pd.DataFrame) -> bool:
    """A discriminator or critic: called so, or with accuracies."""
    named = player.startswith(("discriminator", "critic"))
    return named or ("real_accuracy" in rows and bool(rows["real_accuracy"].notna().any()))


def column(rows: pd.DataFrame, name: str) -> np.ndarray:
    """A probe in float64; NaN where there is none."""
    return rows[name].to_numpy(dtype=np.float64) if name in rows else np.full(len(rows), np.nan)


def _steps_at_rest(players: Players, t: Thresholds) -> np.ndarray:
    """Steps at which some discriminator's logit gap is far below what is usual for it."""
    steps = [np.empty(0, dtype=np.int64)]
    for player, rows in players.items():
        if judges(player, rows) and "logit_gap" in rows:
            gap = np.abs(column(rows, "logit_gap"))
            usual = running_median(gap, t.median_window, t.history)
            steps.append(rows["step"].to_numpy()[gap <= t.rest_ratio * usual])
    return np.concatenate(steps)


def _span(rows: pd.DataFrame, first: int, last: int) -> tuple[int, tuple[int, int]]:
    steps = rows["step"].to_numpy()
    return int(steps[first]), (int(steps[first]), int(steps[last]))
