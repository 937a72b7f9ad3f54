"""What a check finds, and how checks are written: functions that raise where something is wrong."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganbench.errors import BadInput, Broken
from ganbench.plugins.author_errors import RAISED, mend_of
from ganbench.text import first_line

if TYPE_CHECKING:
    from ganbench.testing.case import Case

Outcome = Literal["passed", "remark", "not tried", "failed"]


@dataclass(frozen=True)
class Finding:
    """What one check found of one component.

    Arguments:
        check: its name, e.g. "pure".
        outcome: "failed"; "remark", where something could be better; "not tried", where the check does not
            apply, or lacks something here; or "passed".
        expected: what was expected, one sentence.
        seen: what was seen instead; empty where the check passed.
        mend: how to mend it; empty where there is nothing to mend.
    """

    check: str
    outcome: Outcome
    expected: str
    seen: str = ""
    mend: str = ""

    @property
    def ok(self) -> bool:
        """Whether it has not failed."""
        return self.outcome != "failed"

    def __str__(self) -> str:
        lines = [f"{self.check}: {self.outcome}", f"  expected: {self.expected}"]
        lines += [f"  seen: {self.seen}"] if self.seen else []
        lines += [f"  mend: {self.mend}"] if self.mend else []
        return "\n".join(lines)


class Unmet(Exception):
    """Raised by a check: what was seen, and how to mend it where that differs from the check's own advice."""

    outcome: Outcome = "failed"

    def __init__(self, seen: str, mend: str = "") -> None:
        super().__init__(seen)
        self.seen, self.mend = seen, mend


class Remark(Unmet):
    """It could be better."""

    outcome = "remark"


class NotTried(Unmet):
    """The check does not apply, or lacks something here."""

    outcome = "not tried"


@dataclass(frozen=True)
class Check:
    """One check of components.

    Arguments:
        name: in kebab case.
        kinds: kinds of component that it is for; empty for all.
        expected: one sentence.
        mend: how to mend what fails it.
        run: raises where the expectation is not met.
    """

    name: str
    kinds: tuple[str, ...]
    expected: str
    mend: str
    run: Callable[[Case], None]

    def __call__(self, case: Case) -> Finding:
        """What this check finds of the case. Never raises, but for Ctrl-C."""
        try:
            self.run(case)
        except Unmet as unmet:
            mend = "" if unmet.outcome == "not tried" else unmet.mend or self.mend
            return Finding(self.name, unmet.outcome, self.expected, unmet.seen, mend)
        except (Exception, SystemExit) as error:
            return self._of_raised(error, case)
        return Finding(self.name, "passed", self.expected)

    def _of_raised(self, error: BaseException, case: Case) -> Finding:
        """A failure; where an earlier check has raised the same, that told it."""
        seen = told(error, case.cls)
        first = case.raised.setdefault(seen, self.name)
        if first != self.name:
            return Finding(self.name, "not tried", self.expected, f"it raises; see `{first}`")
        return Finding(self.name, "failed", self.expected, seen, self._mend_of(error, case.cls))

    def _mend_of(self, error: BaseException, cls: type) -> str:
        """The check's own advice, unless it is the component's own line that raised something."""
        hint = mend_of(error)
        advises = self.mend.startswith(RAISED) or isinstance(error, BadInput) or not _place(error, cls)
        return self.mend if hint == RAISED and advises else hint


_CHECKS: list[Check] = []


def check(*kinds: str) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Register a function as a check of components of these kinds (of all where none is named).

    Its name is that of the check; the first paragraph of its docstring says what is expected, and the last,
    after "Mend: ", how to mend what fails it.
    """

    def register(function: Callable[[Case], None]) -> Callable[[Case], None]:
        expected, _, mend = (inspect.getdoc(function) or "").partition("\n\nMend: ")
        name = function.__name__.replace("_", "-")
        _CHECKS.append(Check(name, kinds, _line(expected), _line(mend).removesuffix("."), function))
        return function

    return register


def _line(text: str) -> str:
    return " ".join(text.split())


def checks_of(kind: str) -> list[Check]:
    """All checks of components of that kind, in the order of their definition."""
    return [check for check in _CHECKS if not check.kinds or kind in check.kinds]


def told(error: BaseException, cls: type | None = None) -> str:
    """An exception in one line: type, message, and the innermost line of the component that raised it."""
    known = "" if isinstance(error, BadInput | Broken) else f"{type(error).__name__}: "
    return f"{known}{first_line(error)}{_place(error, cls)}"


def _place(error: BaseException, cls: type | None) -> str:
    """The innermost line of the files that define the class and its bases, as " (file.py:12)"."""
    bases = (base.__module__ for base in (cls.__mro__ if cls else ()))
    modules = (sys.modules.get(name) for name in bases if not name.startswith("ganbench.components."))
    files = {getattr(module, "__file__", None) for module in modules}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            return f" ({Path(frame.filename).name}:{frame.lineno})"
    return ""
