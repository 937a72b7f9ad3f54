"""From a typed document to cells: the entries of the matrix, before sweeps are enumerated."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ganbench.errors import nearest
from ganbench.suites.optimizer_tables import merged
from ganbench.suites.schema import Document, Entry, Include, Matrix, Pattern
from ganbench.suites.sweeps import MAX_RUNS
from ganbench.suites.toml_file import Problems, RawTable, RawValue
from ganbench.text import brief

_DEFAULTS = {
    "techniques": [],
    "optimizer": {"name": "adam"},
    "batch": 64,
    "precision": "float32",
    "tf32": False,
    "evaluate": {},
}
_REQUIRED = ("dataset", "model", "loss", "steps")
_EVALUATE = ("evaluate.every", "evaluate.metrics")


@dataclass(frozen=True)
class Cell:
    """One entry of the matrix: its values, where each was written, and the options of its components."""

    where: str
    values: RawTable
    origins: dict[str, str]
    options: Mapping[str, RawTable]
    option_origins: dict[str, str] = field(default_factory=dict)
    shown: tuple[str, ...] = ()

    def parts(self) -> list[tuple[str, str, str]]:
        """(kind, name, where) of its components, without metrics."""
        single = [(kind, self.values[kind], self.origins[kind]) for kind in ("dataset", "model", "loss")]
        techniques = [("technique", name, self.origins["techniques"]) for name in self.values["techniques"]]
        return single + techniques

    def metrics(self) -> list[RawTable]:
        """Its metrics as written: tables of a name and options."""
        entries: list[RawTable] = self.values["evaluate"].get("metrics", [])
        return entries

    def names(self) -> set[str]:
        """Names of all its components."""
        return {name for _, name in self.kinds()}

    def kinds(self) -> list[tuple[str, str]]:
        """(kind, name) of all its components."""
        metrics = [("metric", metric["name"]) for metric in self.metrics()]
        return [(kind, name) for kind, name, _ in self.parts()] + metrics

    def origin(self, name: str) -> str:
        """Where the options of the component `name` are written."""
        return self.option_origins.get(name, f"options.{name}")


Recipes = Callable[[str | None], Mapping[str, RawValue]]
"""Name of a model -> the values that it was published with."""


def cells(document: Document, recipes: Recipes, problems: Problems) -> list[Cell] | None:
    """The cells of the suite, or None where they cannot be made (the problems then say why)."""
    matrix = document.matrix
    lists = matrix.lists if matrix else {}
    count = math.prod(map(len, lists.values()))
    # counted before enumerating, which could exhaust memory
    if count > MAX_RUNS:
        problems.add("matrix", f"its lists make {count:,} cells; more than {MAX_RUNS:,} are not run")
        return None
    # without [matrix], [defaults] is the one cell; a [matrix] of nothing but entries has no product
    product = [] if matrix and not lists else list(_product(document, lists, recipes))
    product = _exclude(matrix, product, problems) if matrix else product
    includes = matrix.include if matrix else []
    entries = product + [_include(document, i, include, recipes) for i, include in enumerate(includes)]
    if not entries:
        problems.add("matrix.exclude", "excludes every cell: no variant is left")
    for cell in entries:
        for key in _REQUIRED:
            if key not in cell.values:
                place = cell.where if cell.where != "matrix" else "defaults"
                problems.add(f"{place}.{key}", "is missing; set it in [defaults] or in [matrix]")
    return entries if entries and all(cell.values.keys() >= set(_REQUIRED) for cell in entries) else None


def _base(document: Document) -> RawTable:
    given = document.defaults.given()
    # seeds multiply variants, they are no part of one
    given.pop("seeds", None)
    return {key: value for key, value in given.items() if value is not None}


def _completed(values: Mapping[str, RawValue], recipes: Recipes) -> RawTable:
    """What the file leaves out is the model's recipe, and then the default."""
    return {**_DEFAULTS, **recipes(values.get("model")), **values}


def _product(document: Document, lists: Mapping[str, list[RawValue]], recipes: Recipes) -> Iterator[Cell]:
    base = _base(document)
    origins = {key: f"defaults.{key}" for key in [*base, *_DEFAULTS, *_REQUIRED, *_EVALUATE]}
    # names stand in a label anyway; these values do not, and cells that differ in them need to
    several = [key for key in ("batch", "steps", "precision", "tf32") if len(lists.get(key, ())) > 1]
    where = "matrix" if lists else "defaults"
    for chosen in itertools.product(*(enumerate(values) for values in lists.values())):
        chosen_values = {key: value for key, (_, value) in zip(lists, chosen, strict=True)}
        values = _completed(base | chosen_values, recipes)
        places = {key: f"matrix.{key}.{index}" for key, (index, _) in zip(lists, chosen, strict=True)}
        shown = tuple(f"{key}={_spelled(values[key])}" for key in several)
        yield Cell(where, values, origins | places, document.options, {}, shown)


def _include(document: Document, index: int, include: Include, recipes: Recipes) -> Cell:
    where = f"matrix.include.{index}"
    base, given = _base(document), include.given()
    own_options = given.pop("options", {})
    # merged, so that an entry can change the metrics alone, or a learning rate
    evaluate = base.get("evaluate", {}) | given.get("evaluate", {})
    if "optimizer" in given:
        given["optimizer"] = merged(base.get("optimizer", {}), given["optimizer"])
    values = _completed(base | given | {"evaluate": evaluate}, recipes)
    options = document.options | {
        name: document.options.get(name, {}) | own_options[name] for name in own_options
    }
    own_keys = given.keys() | {f"evaluate.{key}" for key in given.get("evaluate", ())}
    keys = [*values, *_REQUIRED, *_EVALUATE]
    origins = {key: f"{where if key in own_keys else 'defaults'}.{key}" for key in keys}
    return Cell(where, values, origins, options, {name: f"{where}.options.{name}" for name in own_options})


def _exclude(matrix: Matrix, product: list[Cell], problems: Problems) -> list[Cell]:
    excluded: set[int] = set()
    for number, pattern in enumerate(matrix.exclude):
        hit = {i for i, cell in enumerate(product) if matches(pattern.given(), cell.values)}
        where = f"matrix.exclude.{number}"
        if not hit and not problems.below(where):
            problems.add(where, "no cell of the matrix is like this: there is nothing to exclude")
        # by index, because cells hold tables and are not hashable
        excluded |= hit
    return [cell for i, cell in enumerate(product) if i not in excluded]


def matches(pattern: Mapping[str, RawValue], values: Mapping[str, RawValue]) -> bool:
    """Whether `values` has all of `pattern` (of a table in it, too, a part is enough)."""
    return all(
        matches(wanted, values.get(key, {}))
        if isinstance(wanted, dict) and isinstance(values.get(key), dict)
        else key in values and values[key] == wanted
        for key, wanted in pattern.items()
    )


def why_unlike(pattern: Mapping[str, RawValue], cells: Sequence[Mapping[str, RawValue]]) -> str:
    """Why none of the cells is like the pattern, with what comes nearest; empty where one is."""
    if any(matches(pattern, values) for values in cells):
        return ""
    for key, wanted in pattern.items():
        if not any(matches({key: wanted}, values) for values in cells):
            there = {_spelled(values[key]) for values in cells if key in values}
            return f"no variant has {key} = {_spelled(wanted)}; {nearest(_spelled(wanted), there)}"

    # each key is found somewhere, but no cell has them all
    def unlike(values: Mapping[str, RawValue]) -> list[str]:
        return [key for key, wanted in pattern.items() if not matches({key: wanted}, values)]

    # the first of equals, in the order of the file
    closest = min(cells, key=lambda values: len(unlike(values)))
    asked = " and ".join(f"{key} = {_spelled(wanted)}" for key, wanted in pattern.items())
    has = " and ".join(f"{key} = {_spelled(closest[key])}" for key in unlike(closest))
    return f"no variant has {asked} at once; the nearest has {has}"


def _spelled(value: RawValue) -> str:
    """A value of the matrix as labels show it; a table as it is written."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return "+".join(value) or "plain"
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else brief(value)


def unused_options(document: Document, found: list[Cell], idle: Collection[str], problems: Problems) -> None:
    """Options of components that no variant uses are most likely misspelt, unless these are `idle`."""
    used = set(idle).union(*(cell.names() for cell in found))
    for name in document.options:
        if name not in used:
            problems.add(f"options.{name}", f"no variant uses {name!r}; {nearest(name, used)}")
    for cell in found:
        for name, where in cell.option_origins.items():
            if name not in cell.names() | set(idle):
                problems.add(where, f"this entry does not use {name!r}; {nearest(name, cell.names())}")


def mentions(document: Document) -> Iterator[tuple[str, str, str]]:
    """(kind, name, where) of every component that the document names."""
    matrix = document.matrix or Matrix.model_construct()
    for key in ("dataset", "model", "loss"):
        for index, name in enumerate(getattr(matrix, key) or ()):
            yield key, name, f"matrix.{key}.{index}"
    for index, names in enumerate(matrix.techniques or ()):
        yield from (("technique", name, f"matrix.techniques.{index}.{i}") for i, name in enumerate(names))
    entries: list[tuple[str, Entry | Pattern]] = [("defaults", document.defaults)]
    entries += [(f"matrix.include.{i}", entry) for i, entry in enumerate(matrix.include)]
    entries += [(f"matrix.exclude.{i}", entry) for i, entry in enumerate(matrix.exclude)]
    if document.compare.baseline:
        entries.append(("compare.baseline", document.compare.baseline))
    for where, entry in entries:
        yield from _mentions_of(entry.given(), where)


def _mentions_of(entry: Mapping[str, RawValue], where: str) -> Iterator[tuple[str, str, str]]:
    for key in ("dataset", "model", "loss"):
        if entry.get(key) is not None:
            yield key, entry[key], f"{where}.{key}"
    for index, name in enumerate(entry.get("techniques") or ()):
        yield "technique", name, f"{where}.techniques.{index}"
    for index, metric in enumerate((entry.get("evaluate") or {}).get("metrics", ())):
        yield "metric", metric["name"], f"{where}.evaluate.metrics.{index}"


def metrics(document: Document) -> Iterator[tuple[RawTable, str]]:
    """Every metric of the document, a table of its name and options, with its place."""
    entries: list[tuple[str, Entry]] = [("defaults", document.defaults)]
    entries += [(f"matrix.include.{i}", entry) for i, entry in enumerate(document.includes)]
    for where, entry in entries:
        for index, table in enumerate(entry.evaluate.metrics if entry.evaluate else ()):
            yield table, f"{where}.evaluate.metrics.{index}"


def optimizers(document: Document) -> Iterator[tuple[RawTable, str]]:
    """Every optimiser table of the document, with its place."""
    matrix = document.matrix or Matrix.model_construct()
    if document.defaults.optimizer is not None:
        yield document.defaults.optimizer, "defaults.optimizer"
    for index, table in enumerate(matrix.optimizer or ()):
        yield table, f"matrix.optimizer.{index}"
    for index, entry in enumerate(matrix.include):
        if entry.optimizer is not None:
            table = merged(document.defaults.optimizer or {}, entry.optimizer)
            yield table, f"matrix.include.{index}.optimizer"
