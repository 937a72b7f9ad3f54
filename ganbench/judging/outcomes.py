"""How a run can end."""

from __future__ import annotations

from typing import NamedTuple

OUTCOMES = (
    "finished",
    "diverged",
    "exploded",
    "vanished",
    "saturated",
    "collapsed",
    "unstable",
    "timed_out",
    "crashed",
    "incompatible",
)


class Verdict(NamedTuple):
    """How a run ended.

    Arguments:
        outcome: one of `OUTCOMES`.
        onset_step: the first step of what triggered, None for a finished run.
        reason: one sentence with figures, empty for a finished run.
        evidence: the first and the last step over which it held, None for a finished run.
        remark: what was seen and is no failure (it oscillated, it recovered), empty where nothing was.
    """

    outcome: str
    onset_step: int | None = None
    reason: str = ""
    evidence: tuple[int, int] | None = None
    remark: str = ""
