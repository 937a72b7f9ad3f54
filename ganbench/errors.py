"""Bad input, reported in one way: what is wrong, where, and the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `where` is a path such as `defaults.optimizer.lr`."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class BadInput(Exception):
    """What the user gave cannot be used. The command line prints each problem and exits with 2."""

    def __init__(self, problems: str | Problem | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem("", problems)
        # a tuple: an iterator could be read only once
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Broken(Exception):
    """A component gave what it must not. `what` is a sentence without its subject, which its owner completes.

    Arguments:
        kind, name: of the component.
    """

    def __init__(self, kind: str, name: str, what: str) -> None:
        self.kind, self.name, self.what = kind, name, what
        super().__init__(f"{kind} {name!r} {what}")


def nearest(name: str, choices: Iterable[str], limit: int = 8) -> str:
    """A sentence that offers the nearest of `choices`, or lists up to `limit` of them."""
    known = sorted(choices)
    # 0.6 is difflib's own default: two of five letters may be wrong
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if not known:
        return "there are none"
    shown = ", ".join(known[:limit]) + (", …" if len(known) > limit else "")
    return f"choose from {shown}"
