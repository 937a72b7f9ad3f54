"""Components of a package: whatever its modules define, so that adding one takes a file and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def found(package: str, base: Any) -> list[Any]:
    """Subclasses of `base` with a name of their own, from the modules whose name begins with no "_"."""
    folder = importlib.import_module(package).__path__
    modules = [
        importlib.import_module(f"{package}.{module.name}")
        for module in pkgutil.iter_modules(folder)
        if not module.name.startswith("_")
    ]
    return [
        cls
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type)
        and issubclass(cls, base)
        and cls.__module__ == module.__name__
        and "name" in vars(cls)
    ]
