"""Misspelt members: names in a component's class that are a letter off those that its kind has."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable

_HOME = "ganbench.components."
_PLAIN = (bool, int, float, str, tuple, list, dict)
_TYPO = 0.75
"""Similarity (`difflib`) above which two names differ by a letter, or by two that changed places."""


def known(cls: type) -> set[str]:
    """Public names that components of its kind have."""
    # by module name: the core's classes are those that the contract names
    bases = [base for base in cls.__mro__ if base.__module__.startswith(_HOME)]
    return {name for base in bases for name in (*vars(base), *_annotated(base)) if not name.startswith("_")}


def own(cls: type) -> dict[str, object]:
    """Public members of its own that are no options, by name."""
    # from base to subclass, so that an overriding member wins
    bodies = [base for base in reversed(cls.__mro__) if not base.__module__.startswith(_HOME)]
    options = {name for base in bodies for name in _annotated(base)}
    members: dict[str, object] = {}
    for base in bodies:
        members |= vars(base)
    foreign = options | known(cls)
    return {name: value for name, value in members.items() if name[0] != "_" and name not in foreign}


def misspelt(cls: type) -> dict[str, str]:
    """Members of its own that are a letter off one that its kind has -> that one."""
    choices = known(cls)
    near = {name: closest(name, choices, _TYPO) for name in own(cls)}
    return {name: meant for name, meant in near.items() if meant}


def untyped(cls: type) -> dict[str, object]:
    """Plain values that have no type, and so are no options: name -> value."""
    return {
        name: value
        for name, value in own(cls).items()
        # constants in capitals are meant as such
        if name.islower() and (value is None or isinstance(value, _PLAIN)) and name not in misspelt(cls)
    }


def why_untyped(name: str, value: object) -> str:
    """One sentence: why a value is no option, and how it becomes one."""
    hint = "..." if value is None else type(value).__name__
    typed = f"{name}: {hint} = {value!r:.40}"
    return f"`{name}` has no type, so it is no option; write `{typed}`"


def misnamed(name: str, meant: str) -> str:
    """One sentence about a misspelt member."""
    return f"it has a method `{name}`; did you mean `{meant}`?"


def closest(name: str, choices: Iterable[str], cutoff: float = 0.6) -> str:
    """The choice that is most alike, or an empty string."""
    # sorted: a set has no order, and ties would change from run to run
    close = difflib.get_close_matches(name, sorted(choices), n=1, cutoff=cutoff)
    return close[0] if close else ""


def _annotated(cls: type) -> Iterable[str]:
    return inspect.get_annotations(cls)
