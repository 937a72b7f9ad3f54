"""What happens to stacks in training. Each event names its stack's folder.

Workers send `WorkerEvent`s to the session. It answers failures itself, and passes `SessionEvent`s on to the
watcher, live.json, observers and loggers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ganbench.judging.outcomes import Outcome
from ganbench.storage.records import ObservedRow, RunRow


# Events cross a pipe, so that everything in them must pickle: a traceback is sent as text.
@dataclass(frozen=True)
class Started:
    """A stack begins or resumes at `step` of `steps`."""

    stack: str
    step: int
    steps: int


@dataclass(frozen=True)
class Progress:
    """How far a stack is. `died` has an entry a run: the step at which it was frozen, 0 while it lives."""

    stack: str
    step: int
    steps: int
    died: Sequence[int]

    @property
    def failed(self) -> int:
        """How many runs were frozen."""
        return sum(map(bool, self.died))


@dataclass(frozen=True)
class Evaluated:
    """A stack was evaluated at `step`. `rows`: one a (run, metric)."""

    stack: str
    step: int
    rows: Sequence[ObservedRow]


@dataclass(frozen=True)
class Finished:
    """A stack ended: `rows` has a row of results a run."""

    stack: str
    rows: Sequence[RunRow]


@dataclass(frozen=True)
class Failed:
    """A stack could not be trained to its end. `traceback` is "" where the worker died."""

    stack: str
    reason: str
    traceback: str = ""
    outcome: Outcome = Outcome.CRASHED


@dataclass(frozen=True)
class OutOfMemory:
    """Memory did not suffice for a stack."""

    stack: str
    reason: str


@dataclass(frozen=True)
class Split:
    """The session halved a stack, because memory did not suffice for it."""

    stack: str


@dataclass(frozen=True)
class Stopped:
    """A stack was left where it can be resumed."""

    stack: str


Last = Finished | Failed | OutOfMemory | Stopped
"""The last event that a worker sends about a stack."""

WorkerEvent = Started | Progress | Evaluated | Last


@dataclass(frozen=True)
class Message:
    """An event as it crosses the pipe. `leaving`: the worker ends after it, and takes no further stack."""

    event: WorkerEvent
    leaving: bool = False


SessionEvent = Started | Progress | Evaluated | Finished | Split | Stopped
"""A failure is `Finished`, with rows that say so."""
