"""Stacks that wait for a worker, by the program that they need, and which of them a worker takes next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path

from ganbench.storage.records import StackConfig
from ganbench.storage.stack_folder import StackFolder
from ganbench.suites.load import program_key


class Waiting:
    """Folders of stacks, in the order in which they were added; those of one program together."""

    def __init__(self) -> None:
        self._stacks: dict[str, deque[str]] = {}

    def add(self, path: str) -> None:
        """Queue a stack."""
        self._stacks.setdefault(program_key(StackFolder(Path(path)).config()), deque()).append(path)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._stacks.clear()

    def choose(
        self,
        own: str,
        elsewhere: Collection[str],
        in_preparation: Collection[str],
        may_train: Callable[[StackConfig], bool],
    ) -> str | None:
        """The program whose next stack a worker takes; None where it has to wait.

        The program that it has, else one that no other worker has, else one that others have. One that
        another worker is preparing is left alone: a moment later it lies in the cache on disk.

        Arguments:
            own: the worker's program, "" for none.
            elsewhere: programs that other workers have or prepare.
            in_preparation: those of them that nobody has finished yet.
            may_train: whether the worker's device is one for that stack.
        """
        if own in self._stacks:
            return own
        shared = None
        for program, paths in self._stacks.items():
            if program in in_preparation or not may_train(StackFolder(Path(paths[0])).config()):
                continue
            if program not in elsewhere:
                return program
            shared = shared or program
        return shared

    def take(self, program: str) -> str:
        """The folder of the program's next stack, which then waits no more."""
        paths = self._stacks[program]
        path = paths.popleft()
        if not paths:
            del self._stacks[program]
        return path
