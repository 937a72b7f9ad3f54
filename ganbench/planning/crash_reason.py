"""Whose code raised: a crash is reported by the component at fault, not by a traceback alone."""

from __future__ import annotations

import traceback

from ganbench.components.base import Component
from ganbench.errors import BadInput, Broken
from ganbench.planning.run_key import parts
from ganbench.plugins.discovery import Catalogue, Registered
from ganbench.storage.records import VariantConfig
from ganbench.text import first_line


def crash_reason(error: BaseException, config: VariantConfig, catalogue: Catalogue) -> str:
    """One sentence: the innermost component in the traceback, its owner, the error, file and line."""
    if isinstance(error, BadInput):
        return str(error)  # it names its place itself
    if isinstance(error, Broken):
        owner = catalogue.components[error.kind][error.name]
        return f"{_named(error.kind, error.name, owner)} {error.what}"
    raised = f"raised {type(error).__name__}: {first_line(error)}"
    owners = _owners(config, catalogue)
    # innermost first: a component that calls another's code is not at fault for what that raises
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in owners:
            kind, name, owner = owners[frame.filename]
            where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
            return f"{_named(kind, name, owner)} {raised} ({where})"
    return f"ganbench {raised}"


def _owners(config: VariantConfig, catalogue: Catalogue) -> dict[str, tuple[str, str, Registered[Component]]]:
    """Source file -> the variant's component that it defines."""
    owners = {}
    # Where a file defines several of the components, the last is named: all have the same owner.
    for kind, entry in parts(config):
        registered = catalogue.components[kind].get(entry["name"])
        if registered and registered.source_file:
            owners[registered.source_file] = (kind, entry["name"], registered)
    return owners


def _named(kind: str, name: str, owner: Registered[Component]) -> str:
    """Such as "loss 'hinge' of ganbench 0.1.0"; a single file has no version."""
    return f"{kind} {name!r} of {owner.origin}"
