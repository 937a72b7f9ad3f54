"""ganbench: benchmarks of the training stability of GANs and VAEs.

Importing it is instant: what needs torch or pandas is loaded when it is first used. `__all__` is all that a
plugin needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ganbench._version import __version__
from ganbench.errors import BadInput, Problem, nearest

# type checkers and editors see these imports; at run time `__getattr__` makes them
if TYPE_CHECKING:
    from ganbench.components.base import bind
    from ganbench.components.data import Data, Dataset, DataSpec
    from ganbench.components.game_view import GameView
    from ganbench.components.kinds import (
        BuildNetworks,
        Evaluation,
        Executor,
        Extractor,
        Logger,
        Loss,
        Metric,
        Model,
        Technique,
    )
    from ganbench.components.optimizers import SGD, Adam
    from ganbench.game import Batch, Flow, GradientField, Joint, Objective, Out, Play, Turn
    from ganbench.game.compute_once import compute_once
    from ganbench.game.draws import Draw, isolated_rng, stream
    from ganbench.game.dropout import Dropout
    from ganbench.game.fields import input_grad
    from ganbench.game.nets import Layout, Named, Nets
    from ganbench.game.update_rules import Clock, Memory, Rule, StepCount, clip_by_norm, per_player
    from ganbench.hookspecs import hookimpl
    from ganbench.machine.folders import cache_folder
    from ganbench.results import load
    from ganbench.storage.atomic import write_atomic
    from ganbench.storage.stack_folder import stack_traces
    from ganbench.text import slug

__all__ = [
    "SGD",
    "Adam",
    "BadInput",
    "Batch",
    "BuildNetworks",
    "Clock",
    "Data",
    "DataSpec",
    "Dataset",
    "Draw",
    "Dropout",
    "Evaluation",
    "Executor",
    "Extractor",
    "Flow",
    "GameView",
    "GradientField",
    "Joint",
    "Layout",
    "Logger",
    "Loss",
    "Memory",
    "Metric",
    "Model",
    "Named",
    "Nets",
    "Objective",
    "Out",
    "Play",
    "Problem",
    "Rule",
    "StepCount",
    "Technique",
    "Turn",
    "__version__",
    "bind",
    "cache_folder",
    "clip_by_norm",
    "compute_once",
    "hookimpl",
    "input_grad",
    "isolated_rng",
    "load",
    "nearest",
    "per_player",
    "slug",
    "stack_traces",
    "stream",
    "write_atomic",
]

_HOMES = {
    "components.base": ("bind",),
    "components.data": (
        "Data",
        "DataSpec",
        "Dataset",
    ),
    "components.game_view": ("GameView",),
    "components.kinds": (
        "BuildNetworks",
        "Evaluation",
        "Executor",
        "Extractor",
        "Logger",
        "Loss",
        "Metric",
        "Model",
        "Technique",
    ),
    "components.optimizers": (
        "Adam",
        "SGD",
    ),
    "machine.folders": ("cache_folder",),
    "game": (
        "Batch",
        "Flow",
        "GradientField",
        "Joint",
        "Objective",
        "Out",
        "Play",
        "Turn",
    ),
    "game.compute_once": ("compute_once",),
    "game.draws": (
        "Draw",
        "isolated_rng",
        "stream",
    ),
    "game.dropout": ("Dropout",),
    "game.fields": ("input_grad",),
    "game.nets": (
        "Layout",
        "Named",
        "Nets",
    ),
    "game.update_rules": (
        "Clock",
        "Memory",
        "Rule",
        "StepCount",
        "clip_by_norm",
        "per_player",
    ),
    "hookspecs": ("hookimpl",),
    "results": ("load",),
    "storage.atomic": ("write_atomic",),
    "storage.stack_folder": ("stack_traces",),
    "text": ("slug",),
}
"""Module -> the public names that are loaded from it when they are first used."""
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker must refuse names that are not there, and takes this for a yes to all

    def __getattr__(name: str) -> Any:
        if name not in _HOME_OF:
            # hasattr and `from ganbench import …` expect this type
            raise AttributeError(f"module 'ganbench' has no attribute {name!r}")
        # sys.modules caches the module, so that only the first look-up is slow
        return getattr(importlib.import_module(f"ganbench.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    # dir() would list only the names that are loaded already
    return sorted(__all__)
