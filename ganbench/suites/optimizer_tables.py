"""Optimiser tables: one for all players, or one a player; an entry inherits what it leaves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ganbench.components.optimizers import OPTIMIZERS
from ganbench.suites.sweeps import is_sweep


def own(table: Mapping[str, Any]) -> dict[str, Any]:
    """An optimiser table without the tables of single players."""
    return {key: value for key, value in table.items() if key not in players_of(table)}


def players_of(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tables of single players in an optimiser table."""
    options = {field.name for cls in OPTIMIZERS.values() for field in dataclasses.fields(cls)} | {"name"}  # type: ignore[arg-type]
    return {k: v for k, v in table.items() if isinstance(v, dict) and not is_sweep(v) and k not in options}


def inherit(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """A player's optimiser. One that names another optimiser than the base inherits none of its options."""
    if override.get("name", base.get("name")) != base.get("name"):
        return dict(override)
    return {**base, **override}
