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
from ganbench.plugins.author_errors import RAISED, fix_of
from ganbench.text import first_line

# case.py imports this module, so a real import would be circular
if TYPE_CHECKING:
    from ganbench.testing.case import Case

Outcome = Literal["passed", "remark", "not tried", "failed"]


@dataclass(frozen=True)
class Finding:
    """What one check found of one component.

    Arguments:
        check: its name, e.g. "pure".
        outcome: "failed"; "remark", where something could be better; "not tried", where the check does not
            apply, or needs something that is missing here; or "passed".
        expected: what was expected, one sentence.
        seen: what was seen instead; empty where the check passed.
        fix: how to fix it; empty where there is nothing to fix.
    """

    check: str
    outcome: Outcome
    expected: str
    seen: str = ""
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Whether it has not failed."""
        return self.outcome != "failed"

    def __str__(self) -> str:
        lines = [f"{self.check}: {self.outcome}", f"  expected: {self.expected}"]
        # a check that passed has neither
        lines += [f"  seen: {self.seen}"] if self.seen else []
        lines += [f"  fix: {self.fix}"] if self.fix else []
        return "\n".join(lines)


class Unmet(Exception):
    """Raised by a check: what was seen, and how to fix it where that differs from the check's own advice."""

    outcome: Outcome = "failed"

    def __init__(self, seen: str, fix: str = "") -> None:
        super().__init__(seen)
        self.seen, self.fix = seen, fix


class Remark(Unmet):
    """Raised by a check that has something to say, but does not fail."""

    outcome = "remark"


class NotTried(Unmet):
    """The check does not apply, or needs something that is missing here."""

    outcome = "not tried"


@dataclass(frozen=True)
class Check:
    """One check of components.

    Arguments:
        name: in kebab case.
        kinds: kinds of component that it is for; empty for all.
        expected: one sentence.
        fix: how to make a failing component pass it.
        run: raises where the expectation is not met.
    """

    name: str
    kinds: tuple[str, ...]
    expected: str
    fix: str
    run: Callable[[Case], None]

    def __call__(self, case: Case) -> Finding:
        """What this check finds of the case. Never raises, but for Ctrl-C."""
        try:
            self.run(case)
        except Unmet as unmet:
            # where nothing was tried, advice would read as a fault of the component
            fix = "" if unmet.outcome == "not tried" else unmet.fix or self.fix
            return Finding(self.name, unmet.outcome, self.expected, unmet.seen, fix)
        # a component may call sys.exit, which is no Exception; Ctrl-C still stops the checks
        except (Exception, SystemExit) as error:
            return self._of_raised(error, case)
        return Finding(self.name, "passed", self.expected)

    def _of_raised(self, error: BaseException, case: Case) -> Finding:
        """A failure; "not tried" if an earlier check has reported the same exception."""
        seen = describe_error(error, case.cls)
        # one bug makes most checks raise: the first reports it, the others refer to that one
        first = case.raised.setdefault(seen, self.name)
        if first != self.name:
            return Finding(self.name, "not tried", self.expected, f"it raises; see `{first}`")
        return Finding(self.name, "failed", self.expected, seen, self._fix_of(error, case.cls))

    def _fix_of(self, error: BaseException, cls: type) -> str:
        """The check's own advice, unless it is the component's own line that raised something."""
        # A check's advice fits what the check looks for. For a crash in the component's own line it misleads,
        # unless the check is about crashes (RAISED) or the message says what to do (BadInput).
        hint = fix_of(error)
        advises = self.fix.startswith(RAISED) or isinstance(error, BadInput) or not place(error, cls)
        return self.fix if hint == RAISED and advises else hint


# a list, not a dict: the order of definition is the order of reports and of test ids
_CHECKS: list[Check] = []


def check(*kinds: str) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Register a function as a check of components of these kinds (of all where none is named).

    Its name is that of the check; the first paragraph of its docstring says what is expected, and the last,
    after "Fix: ", how to make a failing component pass it.
    """

    def register(function: Callable[[Case], None]) -> Callable[[Case], None]:
        # getdoc has removed the indentation, so the section begins its own line
        expected, _, fix = (inspect.getdoc(function) or "").partition("\n\nFix: ")
        name = function.__name__.replace("_", "-")
        _CHECKS.append(Check(name, kinds, _line(expected), _line(fix).removesuffix("."), function))
        return function

    return register


def _line(text: str) -> str:
    return " ".join(text.split())


def checks_of(kind: str) -> list[Check]:
    """All checks of components of that kind, in the order of their definition."""
    return [check for check in _CHECKS if not check.kinds or kind in check.kinds]


def describe_error(error: BaseException, cls: type | None = None) -> str:
    """An exception in one line: type, message, and the innermost line of the component that raised it."""
    message = first_line(error) or "no message"
    # the type of these says nothing that their message does not
    known = "" if isinstance(error, BadInput | Broken) else f"{type(error).__name__}: "
    return f"{known}{message}{place(error, cls)}"


def place(error: BaseException, cls: type | None) -> str:
    """The innermost line of the files that define the class and its bases, as " (file.py:12)"."""
    bases = (base.__module__ for base in (cls.__mro__ if cls else ()))
    # the core's base classes are left out: a line in them is not one the author can edit
    modules = (sys.modules.get(name) for name in bases if not name.startswith("ganbench.components."))
    # a set of names: one module often defines several of the bases
    files = {getattr(module, "__file__", None) for module in modules}
    # from the innermost frame outwards: the component often fails inside torch
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            return f" ({Path(frame.filename).name}:{frame.lineno})"
    return ""
