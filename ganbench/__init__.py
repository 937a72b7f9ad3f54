"""ganbench: benchmarks of the training stability of GANs and VAEs.

Importing it is instant: what needs torch or pandas is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ganbench._version import __version__
from ganbench.errors import BadInput

if TYPE_CHECKING:
    from ganbench.components.data import Data, Dataset, DataSpec
    from ganbench.components.kinds import (
        Evaluation,
        Executor,
        Extractor,
        Logger,
        Loss,
        Metric,
        Model,
        Technique,
    )
    from ganbench.game.draws import Draw
    from ganbench.game.fields import input_grad
    from ganbench.hookspecs import hookimpl
    from ganbench.results import load

__all__ = [
    "BadInput",
    "Data",
    "DataSpec",
    "Dataset",
    "Draw",
    "Evaluation",
    "Executor",
    "Extractor",
    "Logger",
    "Loss",
    "Metric",
    "Model",
    "Technique",
    "__version__",
    "hookimpl",
    "input_grad",
    "load",
]

_HOMES = {
    "Draw": "game.draws",
    "hookimpl": "hookspecs",
    "input_grad": "game.fields",
    "load": "results",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ganbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ganbench.{_HOMES.get(name, 'components')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
