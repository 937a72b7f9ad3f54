"""What plugins provide: the catalogue of components, each with where it came from."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar, overload

import pluggy

from ganbench.components.base import Component
from ganbench.components.data import Dataset
from ganbench.components.kinds import KINDS, Executor, Extractor, Logger, Loss, Metric, Model, Technique
from ganbench.errors import BadInput, nearest
from ganbench.plugins import author_errors
from ganbench.plugins.loading import Loading
from ganbench.text import owner_label

C_co = TypeVar("C_co", bound=Component, covariant=True)


@dataclass(frozen=True)
class Registered(Generic[C_co]):
    """A component and where it came from."""

    cls: type[C_co]
    plugin: str
    distribution: str
    version: str
    packaged: bool = True

    @property
    def owner(self) -> str:
        """Who provides it, as part of a run key: the path of a single file is left out."""
        return f"{self.distribution} {self.version}" if self.packaged else "file"

    @property
    def origin(self) -> str:
        """Who provides it, for people: a single file has no version."""
        return owner_label(self.distribution, self.version, self.packaged)

    @property
    def summary(self) -> str:
        """First paragraph of the component's docstring, in one line."""
        return " ".join((inspect.getdoc(self.cls) or "").partition("\n\n")[0].split())

    @property
    def source_hash(self) -> str:
        """SHA-256 of the source that the component is made of; of its name where none can be read.

        That is the file that defines it, those of its base classes, and what these import from their own
        package or folder; not ganbench's core, nor other packages.
        """
        files = sorted(_sources(self.cls))
        # without source, in a notebook say, the class's name is all that identifies it
        contents = [file.read_bytes() for file in files] or [self.cls.__qualname__.encode()]
        # a separator, so that text moved from one file to the next changes the hash
        return hashlib.sha256(b"\0".join(contents)).hexdigest()

    @property
    def source_file(self) -> str | None:
        """The file that defines the component."""
        try:
            return inspect.getsourcefile(self.cls)
        except (TypeError, OSError):
            return None


@dataclass(frozen=True)
class Failure:
    """A plugin, or one component of it, that could not be used.

    Arguments:
        reason: one sentence.
        traceback: of the plugin's own files; empty where the sentence says it all.
        fix: what to write instead.
        component: kind and name of the component that was refused, None where it is the plugin.
    """

    plugin: str
    distribution: str
    reason: str
    traceback: str = ""
    fix: str = author_errors.RAISED
    component: tuple[str, str] | None = None

    @property
    def message(self) -> str:
        """The reason, followed by the fix unless the reason implies it."""
        implied = self.fix == author_errors.RAISED or self.reason.endswith("?")
        return self.reason if implied else f"{self.reason}; {self.fix}"


@dataclass
class Catalogue:
    """Everything the installed plugins provide."""

    manager: pluggy.PluginManager
    components: dict[str, dict[str, Registered[Component]]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    suites: dict[str, Path] = field(default_factory=dict)
    plugins: dict[str, str] = field(default_factory=dict)
    """Plugin -> who provides it, for people."""
    owners: dict[str, str] = field(default_factory=dict)
    """Plugin -> its distribution, or file."""
    failures: list[Failure] = field(default_factory=list)
    disabled: dict[str, str] = field(default_factory=dict)
    """Plugins that GANBENCH_DISABLE_PLUGINS leaves out -> their distributions."""
    loading: dict[str, Loading] = field(default_factory=dict)
    """How loading each plugin went."""
    suite_owners: dict[str, str] = field(default_factory=dict)
    """Suite -> the plugin that it comes from."""
    files: set[Path] = field(default_factory=set)
    """Single-file plugins that were loaded, or failed to."""

    @overload
    def get(self, kind: Literal["model"], name: str) -> Registered[Model]: ...
    @overload
    def get(self, kind: Literal["loss"], name: str) -> Registered[Loss]: ...
    @overload
    def get(self, kind: Literal["technique"], name: str) -> Registered[Technique]: ...
    @overload
    def get(self, kind: Literal["dataset"], name: str) -> Registered[Dataset]: ...
    @overload
    def get(self, kind: Literal["metric"], name: str) -> Registered[Metric]: ...
    @overload
    def get(self, kind: Literal["extractor"], name: str) -> Registered[Extractor]: ...
    @overload
    def get(self, kind: Literal["executor"], name: str) -> Registered[Executor]: ...
    @overload
    def get(self, kind: Literal["logger"], name: str) -> Registered[Logger]: ...
    @overload
    def get(self, kind: str, name: str) -> Registered[Component]: ...
    def get(self, kind: str, name: str) -> Registered[Any]:
        """The component of that kind and name; BadInput names the nearest one."""
        known = self.components[kind]
        if name not in known:
            raise BadInput(f"unknown {kind} {name!r}; {nearest(name, known)}")
        return known[name]

    @overload
    def of(self, kind: Literal["model"]) -> Mapping[str, Registered[Model]]: ...
    @overload
    def of(self, kind: Literal["loss"]) -> Mapping[str, Registered[Loss]]: ...
    @overload
    def of(self, kind: Literal["technique"]) -> Mapping[str, Registered[Technique]]: ...
    @overload
    def of(self, kind: Literal["dataset"]) -> Mapping[str, Registered[Dataset]]: ...
    @overload
    def of(self, kind: Literal["metric"]) -> Mapping[str, Registered[Metric]]: ...
    @overload
    def of(self, kind: Literal["extractor"]) -> Mapping[str, Registered[Extractor]]: ...
    @overload
    def of(self, kind: Literal["executor"]) -> Mapping[str, Registered[Executor]]: ...
    @overload
    def of(self, kind: Literal["logger"]) -> Mapping[str, Registered[Logger]]: ...
    @overload
    def of(self, kind: str) -> Mapping[str, Registered[Component]]: ...
    def of(self, kind: str) -> Mapping[str, Registered[Any]]:
        """Name -> component, of all of that kind."""
        return self.components[kind]

    def refused(self, kind: str, name: str) -> Failure | None:
        """Why a component that a plugin gives under that name was refused, where none has it."""
        found = (failure for failure in self.failures if failure.component == (kind, name))
        return None if name in self.components[kind] else next(found, None)

    def names(self, kind: str) -> list[str]:
        """All names of that kind, sorted."""
        return sorted(self.components[kind])


def _sources(cls: type) -> set[Path]:
    """Files that make up a component (see `Registered.source_hash`)."""
    # base classes of other packages are sorted out below, by `_is_own`
    waiting = [_module(base) for base in cls.__mro__]
    seen: dict[str, Path] = {}
    while waiting:
        module = waiting.pop()
        file = getattr(module, "__file__", None)
        if module is None or not file or module.__name__ in seen or not _is_own(module, cls):
            continue
        seen[module.__name__] = Path(file)
        # every global, so that `from helpers import f` counts like `import helpers`
        waiting += [_module(value) for value in vars(module).values()]
    return {file for file in seen.values() if file.is_file()}


def _module(value: object) -> ModuleType | None:
    """The module that a global is, or comes from."""
    if isinstance(value, ModuleType):
        return value
    return sys.modules.get(getattr(value, "__module__", None) or "")


def _is_own(module: ModuleType, cls: type) -> bool:
    """Whether a module belongs to the package, or lies in the folder, of a component's bases."""
    top = module.__name__.partition(".")[0]
    # hashing the core would change every run key with each release
    if top == "ganbench" or top in sys.stdlib_module_names:
        return False
    home = _module(cls)
    return home is not None and (
        top == home.__name__.partition(".")[0]
        or Path(module.__file__ or "").parent == Path(home.__file__ or ".").parent
    )
