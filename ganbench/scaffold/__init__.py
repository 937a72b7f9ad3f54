"""A new plugin: a small, complete distribution for each kind, from the templates in this folder."""

from __future__ import annotations

import ast
import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ganbench._version import __version__
from ganbench.errors import BadInput, Problem, nearest
from ganbench.plugins.discovery import Catalogue
from ganbench.text import printable

KINDS = ("model", "loss", "technique", "dataset", "metric", "extractor", "executor", "logger", "suite")
"""Kinds of components that a new plugin can hold."""
WORDS = {"dataset": "data set", "extractor": "feature extractor"}
"""Words for a kind in sentences, if they differ from its name."""
LONGEST = 40
"""Greatest number of characters of a name."""
# valid as a distribution's name, and with underscores as a module's
_KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class NewPlugin:
    """The names of a new plugin: component, module, class, distribution, files.

    Arguments:
        kind: one of KINDS.
        name: of the component (or suite), in kebab case.
    """

    kind: str
    name: str

    @property
    def words(self) -> str:
        """The kind as a sentence names it."""
        return WORDS.get(self.kind, self.kind)

    @property
    def module(self) -> str:
        """Name of the Python module."""
        return f"ganbench_{self.name.replace('-', '_')}"

    @property
    def distribution(self) -> str:
        """Name of the distribution, as pip installs it."""
        return f"ganbench-{self.name}"

    @property
    def cls(self) -> str:
        """Name of the component's class."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    @property
    def source(self) -> str:
        """The file to edit, relative to the plugin's folder."""
        return f"{self.module}/{self.name}.toml" if self.kind == "suite" else f"{self.module}.py"

    @property
    def suite(self) -> str:
        """The suite that uses it, relative to the plugin's folder."""
        return self.source if self.kind == "suite" else f"{self.name}.toml"

    @property
    def flags(self) -> str:
        """Options that `ganbench run` needs after the suite."""
        return {"executor": f" --engine {self.name}", "logger": f" --log {self.name}"}.get(self.kind, "")

    @cached_property
    def files(self) -> dict[str, str]:
        """Path relative to the plugin's folder -> text."""
        return dict(self._files())

    def _files(self) -> Iterator[tuple[str, str]]:
        module = f"{self.module}/__init__.py" if self.kind == "suite" else self.source
        yield "pyproject.toml", self._render("pyproject.toml")
        yield "README.md", self._render("README.md")
        yield module, self._render(f"{self.kind}/component.py")
        yield f"tests/test_{self.name.replace('-', '_')}.py", self._render(f"{self.kind}/test.py")
        specific = self.kind in ("executor", "logger", "suite")
        yield self.suite, self._render(f"{self.kind if specific else 'common'}/suite.toml")

    def _render(self, template: str) -> str:
        loader = PackageLoader("ganbench.scaffold")
        environment = Environment(
            # a misspelt variable must raise, not print nothing; jinja drops the final newline by default
            loader=loader,
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
        )
        values: dict[str, object] = {"new": self, "version": __version__}
        return environment.get_template(f"{template}.jinja").render(values)


def create_plugin(kind: str, name: str, parent: Path, catalogue: Catalogue) -> tuple[NewPlugin, Path]:
    """Write a new plugin into `parent`/`name`; returns its names and its folder.

    Raises BadInput for an invalid kind or name, a name that is taken, or an existing folder: nothing is
    overwritten.
    """
    new = _checked(kind, name, catalogue)
    folder = parent / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        # no exist_ok: creating the folder is the check, so two calls cannot both pass it
        folder.mkdir()
        for path, text in new.files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except FileExistsError as error:
        existing = printable(str(error.filename))
        raise BadInput(Problem(existing, "exists already; nothing was written")) from None
    except OSError as error:
        raise BadInput(Problem(printable(str(folder)), f"cannot be written to ({error.strerror})")) from None
    return new, folder


def _checked(kind: str, name: str, catalogue: Catalogue) -> NewPlugin:
    shown = printable(name)
    if kind not in KINDS:
        hint = nearest(kind, KINDS)
        hint = f"choose from {', '.join(KINDS)}" if hint.endswith("…") else hint
        raise BadInput(f"unknown kind {printable(kind)!r}; {hint}")
    if not _KEBAB.fullmatch(name) or len(name) > LONGEST:
        hint = f", such as {_kebab(name)!r}" if _kebab(name) else ""
        what = f"a name is of at most {LONGEST} lower-case letters, digits and single hyphens{hint}"
        raise BadInput(f"{shown!r} cannot be the name of a component: {what}")
    new = NewPlugin(kind, name)
    # `true` is no keyword, but its class `True` is
    if keyword.iskeyword(name) or keyword.iskeyword(new.cls):
        raise BadInput(f"{name!r} cannot be the name of a component: it is a Python keyword")
    if new.cls in _imported(new.files[next(path for path in new.files if path.endswith(".py"))]):
        raise BadInput(
            f"{name!r} cannot be the name of a {new.words}: its class would hide an import of the module"
        )
    _check_free(new, catalogue)
    return new


def _check_free(new: NewPlugin, catalogue: Catalogue) -> None:
    """Raise BadInput if an installed component or module has the name."""
    registered = catalogue.components.get(new.kind, {}).get(new.name)
    if registered:
        raise BadInput(f"the {new.kind} name {new.name!r} is taken by {registered.origin}; choose another")
    if new.kind == "suite" and new.name in catalogue.suites:
        raise BadInput(f"the suite name {new.name!r} is taken by an installed plugin; choose another")
    # loaded modules first: find_spec raises for those without a spec. It imports nothing.
    if new.module in sys.modules or importlib.util.find_spec(new.module):
        raise BadInput(f"a module {new.module!r} is installed already; choose another name than {new.name!r}")


def _kebab(name: str) -> str:
    """The nearest valid name in kebab case; empty if there is none."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    parts = re.findall(r"[a-z0-9]+", spaced.lower())
    # stripped last, since cutting can leave a hyphen at the end
    return re.sub(r"^[0-9-]+", "", "-".join(parts))[:LONGEST].strip("-")


def _imported(source: str) -> set[str]:
    """Names that a module binds by imports."""
    imports = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname or alias.name.partition(".")[0] for node in imports for alias in node.names}
