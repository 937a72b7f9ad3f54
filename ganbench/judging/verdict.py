"""How a run ended: verdicts from declared thresholds on recorded traces and evaluations.

Pure functions of rows, so a verdict can be taken again, with other thresholds, without training.
The defaults follow the indicators in use for GAN training (vanishing and exploding gradients, a
discriminator that has won, lost modes); each is a field of `Thresholds`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from ganbench.judging import collapse, gradients, learning, oscillation
from ganbench.judging.outcomes import OUTCOMES, Outcome, Verdict
from ganbench.judging.thresholds import Thresholds

__all__ = ["OUTCOMES", "Thresholds", "Verdict", "judge"]


def judge(
    trace: pd.DataFrame,
    evals: pd.DataFrame,
    *,
    thresholds: Thresholds,
    budget: int,
    directions: Mapping[str, str],
    critic: bool,
    judges: Collection[str],
    modes: int | None,
    stopped: bool = False,
) -> Verdict:
    """The verdict on one run: of all that triggered, what began first; of those, the first in `OUTCOMES`.

    Arguments:
        trace: rows (step, player) of this run, in order of steps; columns loss, grad_norm, update_norm,
            weight_norm and, of judges, real_accuracy, fake_accuracy, logit_gap.
        evals: rows (step, metric, value) of this run; where a column `weights` has both "raw" and "ema",
            the averaged weights are judged. A column `n` has the number of samples behind a value.
        budget: steps that the run was to train.
        directions: metric -> which direction is better; "lower" where it is not named.
        critic: the loss has no decision boundary (Wasserstein), so accuracies mean nothing.
        judges: players that distinguish real from generated samples.
        modes: number of modes of the data, None where unknown.
        stopped: the run was stopped on purpose, or may be now: judge only what is for good (see
            `Thresholds.stop`). It is finished where nothing is.
    """
    diverged = gradients.diverged(trace)
    if diverged is not None:  # a frozen run goes on leaving rows: not its own
        trace, evals = (
            rows[rows["step"] < diverged.onset_step] if len(rows) else rows for rows in (trace, evals)
        )
    whole = diverged is None and len(trace) > 0 and int(trace["step"].max()) >= budget
    ending = collapse.Ending(whole, thresholds.stop_share * budget if stopped and not whole else None)
    warm = thresholds.warmup * budget
    players = _players(trace)
    falls = list(collapse.falls(evals, thresholds, directions, modes, warm))
    verdicts = [
        *([diverged] if diverged else []),
        *gradients.exploded(players, thresholds),
        *gradients.vanished(players, thresholds, judges),
        *([] if critic else gradients.saturated(players, thresholds, judges)),
        *(verdict for fall in falls for verdict in collapse.failures(fall, ending, warm)),
    ]
    if whole:
        verdicts += learning.still(players, thresholds)
    first = min(verdicts, key=_rank, default=Verdict(Outcome.FINISHED))
    if whole and not verdicts:  # whatever failed explains why nothing was gained
        curves = [*collapse.curves_of(evals)]
        first = learning.no_gain(curves, thresholds, directions, modes) or first
    remarks = [
        *oscillation.remarks(players, thresholds, judges),
        *(collapse.remark(fall, thresholds.oscillate_returns, warm) for fall in falls),
    ]
    return first.remarked(filter(None, remarks))


def _rank(verdict: Verdict) -> tuple[int, int]:
    # What began first is the cause of what came after: gradients explode, then a loss overflows, and the
    # samples that follow have lost their modes. At one step a number that is not finite explains all the
    # rest, and a trace shows a failure at its step, an evaluation only some time after it.
    return verdict.onset_step or 0, OUTCOMES.index(verdict.outcome)


def _players(trace: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each player, in order of first appearance."""
    if trace.empty:
        return {}
    return {str(name): rows for name, rows in trace.groupby("player", sort=False, observed=True)}
