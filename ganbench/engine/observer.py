"""Who hears how the training of a stack goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ganbench.storage.records import ObservedRow, RunRow


class Observer(Protocol):
    """Called by the training loop of one stack, in this order: started, then the others, finished last."""

    def started(self, step: int, steps: int) -> None:
        """The stack begins or resumes at `step` of `steps`."""

    def progress(self, step: int, steps: int, died: Sequence[int]) -> None:
        """The stack is at `step`. `died`, an entry a run: the step at which it was frozen, 0 before that."""

    def evaluated(self, step: int, rows: Sequence[ObservedRow]) -> None:
        """The stack was evaluated. `rows`: one a (run, metric)."""

    def finished(self, rows: Sequence[RunRow]) -> None:
        """The stack ended. `rows`: its results, one a run. Not called where it was stopped on the way."""
