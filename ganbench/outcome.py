"""How a run ended: verdicts from declared thresholds on recorded traces and evaluations.

Pure functions of rows, so a verdict can be taken again, with other thresholds, without training.
The defaults follow the indicators in use for GAN training (vanishing and exploding gradients, a
discriminator that has won, lost modes); each is a field of `Thresholds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganbench.stats import first_stretch, running_median

OUTCOMES = (
    "finished",
    "diverged",
    "exploded",
    "vanished",
    "saturated",
    "collapsed",
    "timed_out",
    "crashed",
    "incompatible",
)
_PROBES = {
    "loss": "loss",
    "grad_norm": "gradient norm",
    "update_norm": "update norm",
    "weight_norm": "weight norm",
}


@dataclass(frozen=True)
class Thresholds:
    """When a run counts as failed. Steps are counted in training steps; ratios have no unit."""

    median_window: int = 2000
    """Steps before a step whose median gradient norm is called usual (see `stats.running_median`)."""
    history: int = 200
    """Steps that must have passed before a gradient norm is compared with the usual one."""
    explode_ratio: float = 100.0
    """Exploded: a player's gradient norm is above this multiple of the largest running median so far."""
    explode_steps: int = 10
    """Exploded: for so many consecutive steps. Lone spikes are ordinary in adversarial training."""
    vanish_ratio: float = 1e-3
    """Vanished: the gradient norm of a player, not a discriminator, is below this share of its median."""
    vanish_steps: int = 500
    """Vanished: for so many consecutive steps."""
    rest_ratio: float = 0.1
    """Not vanished but at rest: the discriminator's logit gap is at most this share of its median.
    Both players' gradients then fade because the game converges, as a Dirac-GAN's does under R1."""
    saturate_accuracy: float = 0.99
    """Saturated: the discriminator's accuracies on real and on fake are both above this."""
    saturate_steps: int = 1000
    """Saturated: for so many consecutive steps. Critics have no decision boundary and are not judged."""
    warmup: float = 0.1
    """Collapsed: share of the budget before which no evaluation counts; training begins with few modes."""
    modes_ratio: float = 0.5
    """Collapsed: from some evaluation to the end, fewer than this share of the modes are covered."""
    units_floor: float = 1.0
    """Collapsed: from some evaluation to the end, a VAE has fewer active units than this."""
    relapse_metrics: tuple[str, ...] = ("fid", "coverage")
    """Collapsed: one of these metrics (they must be positive) falls far behind the run's best so far."""
    relapse_ratio: float = 2.0
    """Relapsed: by more than this factor."""
    relapse_share: float = 0.1
    """Relapsed: by more than this share of the gain since the first evaluation, too. Near zero, a
    factor of two is noise."""
    relapse_evaluations: int = 2
    """Relapsed: at so many consecutive evaluations."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "relapse_metrics", tuple(self.relapse_metrics))
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "relapse_metrics" and not 0 <= value < float("inf"):
                raise ValueError(f"{item.name} must be a finite number, 0 or more (got {value!r})")
            if isinstance(item.default, int) and value < 1:
                raise ValueError(f"{item.name} must be 1 or more (got {value!r})")


class Verdict(NamedTuple):
    """How a run ended.

    Arguments:
        outcome: one of `OUTCOMES`.
        onset_step: the first step of what triggered, None for a finished run.
        reason: one sentence with figures, empty for a finished run.
        evidence: the first and the last step over which it held, None for a finished run.
    """

    outcome: str
    onset_step: int | None = None
    reason: str = ""
    evidence: tuple[int, int] | None = None


def judge(
    trace: pd.DataFrame,
    evals: pd.DataFrame,
    *,
    thresholds: Thresholds,
    budget: int,
    directions: Mapping[str, str],
    critic: bool,
    modes: int | None,
) -> Verdict:
    """The verdict on one run: of all that triggered, what began first.

    Arguments:
        trace: rows (step, player) of this run, in order of steps; columns loss, grad_norm, update_norm,
            weight_norm and, of discriminators, real_accuracy, fake_accuracy, logit_gap.
        evals: rows (step, metric, value) of this run; where a column `weights` has both "raw" and "ema",
            the averaged weights are judged.
        budget: steps that the run was to train.
        directions: metric -> which direction is better; "lower" where it is not named.
        critic: the loss has no decision boundary (Wasserstein), so accuracies mean nothing.
        modes: number of modes of the data, None where unknown.
    """
    diverged = _diverged(trace)
    if diverged is not None:  # a frozen run goes on leaving rows: not its own
        trace, evals = (
            rows[rows["step"] < diverged.onset_step] if len(rows) else rows for rows in (trace, evals)
        )
    ended = diverged is None and len(trace) > 0 and int(trace["step"].max()) >= budget
    players = _groups(trace, "player")
    verdicts = [
        *([diverged] if diverged else []),
        *_exploded(players, thresholds),
        *_vanished(players, thresholds),
        *([] if critic else _saturated(players, thresholds)),
        *_collapsed(evals, thresholds, thresholds.warmup * budget, directions, modes, ended),
    ]
    return min(verdicts, key=lambda verdict: verdict.onset_step or 0, default=Verdict("finished"))


def _diverged(trace: pd.DataFrame) -> Verdict | None:
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


def _exploded(players: Mapping[str, pd.DataFrame], t: Thresholds) -> Iterator[Verdict]:
    for player, rows in players.items():
        norm = _values(rows, "grad_norm")
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


def _vanished(players: Mapping[str, pd.DataFrame], t: Thresholds) -> Iterator[Verdict]:
    at_rest = _steps_at_rest(players, t)
    for player, rows in players.items():
        if _judges(player, rows):
            continue
        norm = _values(rows, "grad_norm")
        usual = running_median(norm, t.median_window, t.history)
        with np.errstate(invalid="ignore"):
            low = (norm < t.vanish_ratio * usual) | ((norm == 0) & (usual == 0))
        stretch = first_stretch(low & ~np.isin(rows["step"].to_numpy(), at_rest), t.vanish_steps)
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


def _saturated(players: Mapping[str, pd.DataFrame], t: Thresholds) -> Iterator[Verdict]:
    for player, rows in players.items():
        if not _judges(player, rows):
            continue
        worse = np.minimum(_values(rows, "real_accuracy"), _values(rows, "fake_accuracy"))
        stretch = first_stretch(worse > t.saturate_accuracy, t.saturate_steps)
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


def _collapsed(
    evals: pd.DataFrame,
    t: Thresholds,
    warm: float,
    directions: Mapping[str, str],
    modes: int | None,
    ended: bool,
) -> Iterator[Verdict]:
    curves = dict(_curves(evals))
    if modes and "modes" in curves:
        yield from _stayed_low(curves["modes"], t.modes_ratio * modes, warm, ended, f"{{}} of {modes} modes")
    if "active-units" in curves:
        yield from _stayed_low(curves["active-units"], t.units_floor, warm, ended, "{} active units")
    for metric in t.relapse_metrics:
        if metric in curves:
            yield from _relapsed(metric, curves[metric], t, warm, directions.get(metric, "lower"))


def _curves(evals: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """(metric, values by step, NaN left out); of the averaged weights where a run has both."""
    if "weights" in evals and (evals["weights"] == "ema").any():
        evals = evals[evals["weights"] == "ema"]
    for metric, rows in _groups(evals, "metric").items():
        values = pd.Series(rows["value"].to_numpy(dtype=np.float64), index=rows["step"].to_numpy())
        yield metric.replace("_", "-"), values.dropna().sort_index()


def _groups(frame: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    """The rows of each value of a column, in order of first appearance."""
    if frame.empty:
        return {}
    return {str(name): rows for name, rows in frame.groupby(column, sort=False, observed=True)}


def _stayed_low(curve: pd.Series, floor: float, warm: float, ended: bool, what: str) -> Iterator[Verdict]:
    """Below the floor from some evaluation after the warm-up to the last one.

    A run that ended early (`ended` False) never had its time: there it must have been above the floor,
    and below it at the last two evaluations.
    """
    low = curve.to_numpy() < floor
    if not low.size or not low[-1]:
        return
    first = 0 if low.all() else int(np.flatnonzero(~low)[-1]) + 1
    fell = 0 < first < low.size - 1
    first = max(first, int(np.searchsorted(curve.index.to_numpy(), warm)))
    if first < low.size and (ended or fell):
        onset, last = int(curve.index[first]), int(curve.index[-1])
        least, most = curve.iloc[first:].min(), curve.iloc[first:].max()
        count = f"{most:g}" if least == most else f"at most {most:g}"
        yield Verdict("collapsed", onset, f"{what.format(count)} from step {onset} on", (onset, last))


def _relapsed(metric: str, curve: pd.Series, t: Thresholds, warm: float, direction: str) -> Iterator[Verdict]:
    """Much worse than the run's best so far, at consecutive evaluations after the warm-up."""
    values, steps = curve.to_numpy(), curve.index.to_numpy()
    if values.size < 2:
        return
    lower = direction == "lower"
    best = (np.minimum if lower else np.maximum).accumulate(values)
    best = np.concatenate([[np.nan], best[:-1]])
    with np.errstate(invalid="ignore"):
        worse = values > t.relapse_ratio * best if lower else values * t.relapse_ratio < best
        much = np.abs(values - best) > t.relapse_share * np.abs(values[0] - best)
        hit = worse & much & (best > 0) & (steps >= warm)
    stretch = first_stretch(hit, t.relapse_evaluations)
    if stretch:
        first, last = stretch
        onset = int(steps[first])
        reason = f"{metric} was {values[first]:.4g} at step {onset}, {best[first]:.4g} at its best before"
        yield Verdict("collapsed", onset, reason, (onset, int(steps[last])))


def _steps_at_rest(players: Mapping[str, pd.DataFrame], t: Thresholds) -> np.ndarray:
    """Steps at which some discriminator's logit gap is far below what is usual for it."""
    steps = [np.empty(0, dtype=np.int64)]
    for player, rows in players.items():
        if _judges(player, rows) and "logit_gap" in rows:
            gap = np.abs(_values(rows, "logit_gap"))
            usual = running_median(gap, t.median_window, t.history)
            steps.append(rows["step"].to_numpy()[gap <= t.rest_ratio * usual])
    return np.concatenate(steps)


def _judges(player: str, rows: pd.DataFrame) -> bool:
    """A discriminator or critic: called so, or with accuracies."""
    named = player.startswith(("discriminator", "critic"))
    return named or ("real_accuracy" in rows and bool(rows["real_accuracy"].notna().any()))


def _values(rows: pd.DataFrame, column: str) -> np.ndarray:
    return rows[column].to_numpy(dtype=np.float64) if column in rows else np.full(len(rows), np.nan)


def _span(rows: pd.DataFrame, first: int, last: int) -> tuple[int, tuple[int, int]]:
    steps = rows["step"].to_numpy()
    return int(steps[first]), (int(steps[first]), int(steps[last]))
