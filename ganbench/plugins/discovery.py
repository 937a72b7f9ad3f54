"""Discovery of plugins: lazy, one by one, so that a broken one harms only the suites that need it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from ganbench import executors, hookspecs
from ganbench._version import __version__
from ganbench.components.base import Component
from ganbench.errors import BadInput, nearest
from ganbench.hookspecs import HOOKS
from ganbench.plugins import author_errors
from ganbench.plugins.author_errors import Unfit
from ganbench.plugins.loading import TooSlow, check_version, check_version_of_raised, loaded
from ganbench.plugins.registry import Catalogue, Failure, Registered
from ganbench.plugins.validation import Refusal, refusal
from ganbench.text import owner_label

__all__ = ["Catalogue", "Failure", "Registered", "discover"]

GROUP = "ganbench"
DISABLE = "GANBENCH_DISABLE_PLUGINS"
"""Plugins or distributions to leave out, comma-separated; "*": all that are installed but ganbench's own."""
STRICT = "GANBENCH_STRICT_PLUGINS"
"""If set to 1, a broken plugin stops every command, whether it is needed or not."""

_OTHER_NAME = "choose another name; if that one is yours too, installed already, check it by its name"
_FIXES = {
    "PluginValidationError": "give the hook the arguments that it has in ganbench.hookspecs, and no others",
    "TooSlow": "do slow work and slow imports inside the functions that need them",
}
"""Name of an exception -> how to fix it."""


def discover(files: Iterable[Path | str] = ()) -> Catalogue:
    """Load every entry point of the group `ganbench`, then `files` (single-file plugins).

    Raises BadInput where one is broken and GANBENCH_STRICT_PLUGINS is set.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    catalogue = Catalogue(manager)
    # the executors that need no plugin; first, so that no plugin can take their names
    _add(catalogue, "core", hookspecs.PROJECT, __version__, lambda: executors)
    for entry in _entry_points():
        dist = entry.dist
        # an entry point that was not found through a distribution has none
        owner, version = (dist.name, dist.version) if dist else ("?", "0")
        if _disabled(entry.name, owner):
            catalogue.disabled[entry.name] = owner
        else:
            _add(catalogue, entry.name, owner, version, entry.load)
    add_files(catalogue, files)
    return catalogue


def add_files(catalogue: Catalogue, files: Iterable[Path | str]) -> None:
    """Load single-file plugins into the catalogue, except those that it has loaded already.

    Raises BadInput where any plugin is broken and GANBENCH_STRICT_PLUGINS is set.
    """
    # resolved, so that one file under two paths is loaded once
    for path in {Path(file).resolve(): Path(file) for file in files}.values():
        if path.resolve() not in catalogue.files:
            catalogue.files.add(path.resolve())
            _add(catalogue, path.stem, str(path), "0", partial(_load_file, path), packaged=False)
    if catalogue.failures and os.environ.get(STRICT, "0") not in ("", "0"):
        first = catalogue.failures[0]
        raise BadInput(
            f"the plugin {first.plugin!r} of {first.distribution} is broken ({STRICT}): {first.reason}"
        )


def _disabled(plugin: str, distribution: str) -> bool:
    """Whether GANBENCH_DISABLE_PLUGINS leaves a plugin out."""
    named = {part.strip() for part in os.environ.get(DISABLE, "").split(",")} - {""}
    return bool(named & {plugin, distribution}) or ("*" in named and distribution != hookspecs.PROJECT)


def _entry_points() -> Sequence[metadata.EntryPoint]:
    """Ours first, then by owner: when two plugins want one name, the later is the one reported."""
    # an editable install can list the same entry point twice
    entries = {(e.name, e.value): e for e in metadata.entry_points(group=GROUP)}

    def order(entry: metadata.EntryPoint) -> tuple[bool, str, str]:
        owner = entry.dist.name if entry.dist else "?"
        return owner != hookspecs.PROJECT, owner, entry.name

    return sorted(entries.values(), key=order)


def _add(
    catalogue: Catalogue,
    name: str,
    owner: str,
    version: str,
    load: Callable[[], object],
    packaged: bool = True,
) -> None:
    """Load one plugin and take in what it provides; every error becomes a Failure."""
    manager, before = catalogue.manager, catalogue.manager.get_plugin(name)
    try:
        with loaded() as loading:
            plugin = load()
            check_version(plugin)
            manager.register(plugin, name=name)
            _refuse_unknown_hooks(plugin)
            provided = [(kind, cls) for kind, hook in HOOKS.items() for cls in _call(plugin, hook)]
            suites = [Path(path) for path in _call(plugin, "ganbench_suites")]
    # a script that calls sys.exit when imported must not end the command; Ctrl-C must
    except (Exception, SystemExit, TooSlow) as error:
        # a name that was taken before belongs to another plugin, which stays registered
        if before is None and manager.has_plugin(name):
            manager.unregister(name=name)
        catalogue.failures.append(_failure(name, owner, error))
        return
    # only after everything has succeeded: a plugin is taken in whole or not at all
    catalogue.plugins[name], catalogue.loading[name] = owner_label(owner, version, packaged), loading
    catalogue.owners[name] = owner
    for kind, cls in provided:
        why = refusal(kind, cls) or _taken(catalogue, kind, cls)
        if why:
            refused = (str(getattr(cls, "kind", kind)), str(getattr(cls, "name", "")))
            catalogue.failures.append(Failure(name, owner, why.reason, fix=why.fix, component=refused))
        else:
            catalogue.components[kind][cls.name] = Registered(cls, name, owner, version, packaged)
    _add_suites(catalogue, name, owner, suites)


def _add_suites(catalogue: Catalogue, name: str, owner: str, suites: Sequence[Path]) -> None:
    """Take in a plugin's suites, but those whose names are taken by another's."""
    for path in suites:
        taken = catalogue.suite_owners.setdefault(path.stem, name)
        if taken == name:
            catalogue.suites.setdefault(path.stem, path)
        else:
            reason = f"the suite name {path.stem!r} is taken by {catalogue.plugins[taken]}"
            catalogue.failures.append(Failure(name, owner, reason, fix=_OTHER_NAME))


def _failure(name: str, owner: str, error: BaseException) -> Failure:
    """The error as a Failure; with a traceback unless one sentence explains it."""
    try:
        check_version_of_raised(error)
    except Unfit as incompatible:
        error = incompatible
    if isinstance(error, Unfit):
        return Failure(name, owner, str(error), fix=error.fix)
    if isinstance(error, BadInput):
        return Failure(name, owner, str(error))
    message = " ".join(str(error).split())  # in one line: it becomes the reason of runs
    fix = _FIXES.get(type(error).__name__) or author_errors.fix_of(error)
    return Failure(name, owner, f"{type(error).__name__}: {message}", author_errors.trace_of(error), fix)


def _refuse_unknown_hooks(plugin: object) -> None:
    """Raise Unfit where a plugin implements a hook that is none."""
    for name in dir(plugin):
        implements = getattr(getattr(plugin, name), "ganbench_impl", None)
        if name.startswith("ganbench_") and implements and not hasattr(hookspecs, name):
            hooks = [hook for hook in dir(hookspecs) if hook.startswith("ganbench_")]
            raise Unfit(f"no such hook: {name}; {nearest(name, hooks)}", "name the function as the hook")


def _call(plugin: object, hook: str) -> Sequence[Any]:
    """What this plugin returns from a hook (pluggy would call all plugins at once, without isolation)."""
    function = getattr(plugin, hook, None)
    if function is None or getattr(function, "ganbench_impl", None) is None:
        return ()
    provided = function()
    if isinstance(provided, list | tuple):
        return provided
    is_class = isinstance(provided, type)
    gave = f"the class {provided.__qualname__}" if is_class else f"{provided!r:.80}"
    entries = provided.__qualname__ if is_class else "MyComponent"
    raise Unfit(f"{hook} gave {gave}, not a list", f"write `return [{entries}]`")


def _taken(catalogue: Catalogue, kind: str, cls: type[Component]) -> Refusal | None:
    """The refusal of a name that another component has."""
    taken = catalogue.components[kind].get(cls.name)
    if taken:
        return Refusal(f"the {kind} name {cls.name!r} is taken by {taken.origin}", _OTHER_NAME)
    return None


def _load_file(path: Path) -> ModuleType:
    # the path's hash keeps files of one name in different folders apart
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"ganbench_file_plugin_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise FileNotFoundError(f"no Python file at {path}")
    module = importlib.util.module_from_spec(spec)
    # before executing it: dataclasses look up string annotations in sys.modules
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
