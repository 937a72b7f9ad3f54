"""Optimiser tables: options for all players, and in them one table per player that sets them otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ganbench.components.optimizers import OPTIMIZERS
from ganbench.storage.records import OptimizerTable
from ganbench.suites.sweeps import is_sweep

_OPTIONS = {field.name for cls in OPTIMIZERS.values() for field in dataclasses.fields(cls)} | {"name"}  # type: ignore[arg-type]


def player_tables(table: OptimizerTable) -> dict[str, OptimizerTable]:
    """The tables of single players in an optimiser table, by player."""
    # which players there are depends on the model: every table that can be nothing else is taken for one's
    return {k: v for k, v in table.items() if isinstance(v, dict) and not is_sweep(v) and k not in _OPTIONS}


def shared_table(table: OptimizerTable) -> OptimizerTable:
    """An optimiser table without the tables of single players."""
    players = player_tables(table)
    return {key: value for key, value in table.items() if key not in players}


def inherit(base: OptimizerTable, override: Mapping[str, object]) -> OptimizerTable:
    """`base` changed by a player's table. One that names another optimiser takes no options from `base`."""
    if override.get("name", base.get("name")) != base.get("name"):
        return dict(override)  # a learning rate for SGD means something else to Adam
    return {**base, **override}


def merged(base: OptimizerTable, own: OptimizerTable) -> OptimizerTable:
    """An entry's optimiser table, with what it leaves out taken from `base`, for each player as well."""
    if own.get("name", base.get("name")) != base.get("name"):
        return dict(own)
    players = player_tables(base)
    tables = {
        player: inherit(players[player], table)
        for player, table in player_tables(own).items()
        if player in players
    }
    return {**base, **own, **tables}


def table_of(table: OptimizerTable, player: str) -> OptimizerTable:
    """The optimiser of one player."""
    return inherit(shared_table(table), player_tables(table).get(player, {}))
