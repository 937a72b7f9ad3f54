"""How a run can end, and the verdict that says so."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """How a run ended, in the order in which verdicts that began at the same step are preferred."""

    FINISHED = "finished"
    DIVERGED = "diverged"
    EXPLODED = "exploded"
    VANISHED = "vanished"
    SATURATED = "saturated"
    COLLAPSED = "collapsed"
    UNSTABLE = "unstable"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    INCOMPATIBLE = "incompatible"

    @property
    def failed(self) -> bool:
        """Whether it counts as a failure."""
        return self is not Outcome.FINISHED

    @property
    def has_result(self) -> bool:
        """Whether training says something about the variant: its code neither broke nor was cut off."""
        return self not in (Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.INCOMPATIBLE)

    @property
    def retrainable(self) -> bool:
        """Whether the next call trains the run again."""
        return self in (Outcome.TIMED_OUT, Outcome.CRASHED)


OUTCOMES = tuple(Outcome)


class Verdict(NamedTuple):
    """How a run ended.

    Arguments:
        outcome: how.
        onset_step: the first step of what triggered, None for a finished run.
        reason: one sentence with figures, empty for a finished run.
        evidence: the first and the last step over which it held, None for a finished run.
        remark: what was seen and is no failure (it oscillated, it recovered), empty where nothing was.
    """

    outcome: Outcome | str
    onset_step: int | None = None
    reason: str = ""
    evidence: tuple[int, int] | None = None
    remark: str = ""
