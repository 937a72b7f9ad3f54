"""Owners of components as results record them, in this version's form or an earlier one's."""

from __future__ import annotations

from collections.abc import Mapping

from ganbench.storage.records import Owner
from ganbench.text import owner_label


def owner_of(recorded: object) -> Owner:
    """The owner of a component from a stack's "versions". Raises ValueError for what is none."""
    if isinstance(recorded, str):
        return _from_text(recorded)
    if isinstance(recorded, Mapping):
        # results may come from anybody: each type is checked before a path is made of it
        distribution, version, packaged = (recorded.get(name) for name in Owner.__annotations__)
        if isinstance(distribution, str) and isinstance(version, str) and isinstance(packaged, bool):
            return {"distribution": distribution, "version": version, "packaged": packaged}
    raise ValueError(f"no owner of a component: {recorded!r}")


def owner_text(recorded: object) -> str:
    """The owner for people, such as "ganbench 0.1.0" or "losses.py"."""
    return owner_label(**owner_of(recorded))


def _from_text(recorded: str) -> Owner:
    # Before owners were records, they were "distribution version", and a single file had the version 0.
    distribution, space, version = recorded.rpartition(" ")
    if not space:
        return {"distribution": recorded, "version": "", "packaged": False}
    return {"distribution": distribution, "version": version, "packaged": not recorded.endswith(".py 0")}
