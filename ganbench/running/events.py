"""What workers tell the session of the stacks that they train. Each event names its stack's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
    died: tuple[int, ...]

    @property
    def failed(self) -> int:
        """Runs that were frozen."""
        return sum(map(bool, self.died))


@dataclass(frozen=True)
class Evaluated:
    """A stack was evaluated at `step`. `rows`: one a (run, metric), with the run's variant and seed."""

    stack: str
    step: int
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Finished:
    """A stack ended: `rows` has a row of results a run."""

    stack: str
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Failed:
    """A stack could not be trained to its end."""

    stack: str
    outcome: str
    reason: str
    traceback: str = ""


@dataclass(frozen=True)
class OutOfMemory:
    """Memory did not suffice for a stack."""

    stack: str
    reason: str


@dataclass(frozen=True)
class Split:
    """A stack was halved, because memory did not suffice for it."""

    stack: str
    reason: str


@dataclass(frozen=True)
class Stopped:
    """A stack was left where it can be resumed."""

    stack: str


Event = Started | Progress | Evaluated | Finished | Failed | OutOfMemory | Split | Stopped
