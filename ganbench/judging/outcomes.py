"""How a run can end, and the verdict that says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Self

from ganbench.storage.records import SeenBy


class Outcome(StrEnum):
    """How a run ended, in the order in which verdicts that began at the same step are preferred."""

    FINISHED = "finished"
    DIVERGED = "diverged"
    EXPLODED = "exploded"
    STAGNANT = "stagnant"
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


class Behaviour(StrEnum):
    """What a run did that is worth a remark, and is no failure."""

    OSCILLATING = "oscillating"
    RECOVERED = "recovered"
    STOPPED = "stopped_by_other_thresholds"


class Remark(NamedTuple):
    """A behaviour that was seen, and a sentence with figures."""

    behaviour: Behaviour
    text: str


class Verdict(NamedTuple):
    """How a run ended.

    Arguments:
        outcome: how.
        onset_step: the first step of what triggered, None for a finished run.
        reason: one sentence with figures, empty for a finished run.
        evidence: the first and the last step over which it held, None for a finished run.
        remark: what was seen and is no failure (it oscillated, it recovered), empty where nothing was.
        seen_by: what showed the failure: its trace, an evaluation or the clock; empty where none of them did.
        player: whose trace showed it, empty where no player's did.
        probe: the column of the trace, or the metric, that showed it; empty where neither did.
        behaviour: the remark's facts by name, such as "oscillating, recovered"; empty where there is none.
    """

    outcome: Outcome
    onset_step: int | None = None
    reason: str = ""
    evidence: tuple[int, int] | None = None
    remark: str = ""
    # New fields go last: configurations and checkpoints hold verdicts as lists, those of an earlier version
    # as shorter ones.
    seen_by: SeenBy = ""
    player: str = ""
    probe: str = ""
    behaviour: str = ""

    @classmethod
    def read(cls, stored: Sequence[Any]) -> Self:
        """A verdict as JSON holds it, of this version or an earlier one."""
        outcome, *others = stored
        verdict = cls(Outcome(outcome), *others)
        return verdict._replace(evidence=None if verdict.evidence is None else (*verdict.evidence,))

    def remarked(self, remarks: Iterable[Remark]) -> Self:
        """The verdict with these remarks in place of its own."""
        remarks = list(remarks)
        return self._replace(
            remark="; ".join(remark.text for remark in remarks),
            behaviour=", ".join(dict.fromkeys(remark.behaviour for remark in remarks)),
        )
