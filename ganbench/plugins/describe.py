"""Facts about a component, found without using it: for `ganbench plugins show` and the pages of the docs."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING

from ganbench.components.base import Component, sweepable
from ganbench.components.kinds import Loss, Metric, Model, Technique
from ganbench.storage.records import OptionValue

if TYPE_CHECKING:
    from ganbench.plugins.discovery import Registered

ARROWS = ("network", "play", "objective", "field", "rule")
"""What a technique can wrap, in the order of a step."""
# exactly four spaces: the further lines of an entry are indented more
_ENTRY = re.compile(r"^    (\w+(?:, \w+)*): ")


def describe(registered: Registered[Component]) -> dict[str, OptionValue]:
    """Plain data: kind, name, owner, doc, options, and facts that depend on the kind."""
    cls = registered.cls
    return {
        "kind": cls.kind,
        "name": cls.name,
        "owner": registered.origin,
        "doc": inspect.getdoc(cls) or "",
        "options": [_option(cls, field) for field in dataclasses.fields(cls)],  # type: ignore[arg-type]
        "facts": _facts(cls),
    }


def wrapped(technique: type[Technique]) -> list[str]:
    """The arrows that a technique wraps."""
    # two hooks wrap the network arrow: one for each network, one for all of them
    hooks = {arrow: (arrow,) for arrow in ARROWS} | {"network": ("network", "networks")}
    return [
        arrow
        for arrow in ARROWS
        if any(getattr(technique, hook) is not getattr(Technique, hook) for hook in hooks[arrow])
    ]


def meanings(doc: str) -> dict[str, str]:
    """What the section "Arguments:" of a docstring says of each of them."""
    _, _, section = doc.partition("\nArguments:\n")
    meaning_of: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            names = entry[1].split(", ")
            meaning_of |= dict.fromkeys(names, line[entry.end() :].strip())
        elif line.startswith("     "):
            meaning_of |= {name: f"{meaning_of[name]} {line.strip()}" for name in names}
        else:
            break
    return meaning_of


def _option(cls: type[Component], field: dataclasses.Field[object]) -> dict[str, OptionValue]:
    return {
        "name": field.name,
        "type": getattr(field.type, "__name__", str(field.type)),
        "default": None if field.default is dataclasses.MISSING else repr(field.default),
        "sweepable": field.name in sweepable(cls),
        "meaning": meanings(inspect.getdoc(cls) or "").get(field.name, ""),
    }


def _facts(cls: type[Component]) -> dict[str, OptionValue]:
    """What is worth knowing of a component of this kind, in words or plain data."""
    facts: dict[str, OptionValue] = {}
    if issubclass(cls, Model):
        facts = {
            "family": cls.family,
            "players": _players(cls),
            "recipe": dict(cls.recipe),
            "shows": list(cls.shows),
        }
    elif issubclass(cls, Loss):
        facts = {"family": cls.family, "critic": not cls.has_boundary, "pairs": cls.pairs}
    elif issubclass(cls, Technique):
        facts = {
            "wraps": wrapped(cls),
            "order": cls.order,
            "conflicts": list(cls.conflicts),
            "requires": list(cls.requires),
        }
    elif issubclass(cls, Metric):
        facts = {"values": dict(cls.values), "reads": list(cls.reads)}
    # 0 equals False, so an order of 0, the default, is left out as well
    return {name: value for name, value in facts.items() if value not in ([], {}, False)}


def _players(cls: type[Model]) -> dict[str, list[str]]:
    """The players of a model as it is by default; nothing where it cannot be made without options."""
    try:
        model = cls()
    except TypeError:
        return {}
    return {player: list(networks) for player, networks in model.players().items()}
