"""Suites: a TOML file becomes variants. Torch is not imported here.

The data go one way: `load_suite` reads the file (`toml_file`), puts in the values of the command line, checks
its shape (`schema`), then its names and options (`checks`), makes the cells of its matrix (`matrix`) and
resolves them to variants (`variants`, `sweeps`). Components are made once, and stay with the suite
(`ganbench.components.instances`). All errors of a file are reported at once, each with its path.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path

from ganbench.components.base import create, options_of, sweepable
from ganbench.components.instances import Instances
from ganbench.components.kinds import KINDS
from ganbench.components.optimizers import OPTIMIZERS
from ganbench.errors import BadInput, nearest
from ganbench.judging.thresholds import Thresholds
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import CompareConfig, OptionValue, StackConfig, VariantConfig
from ganbench.suites import matrix
from ganbench.suites.checks import Checker
from ganbench.suites.schema import Document, validate
from ganbench.suites.toml_file import Problems, RawTable, SuiteFile, override, read
from ganbench.suites.variants import Resolver, Variant, canonical
from ganbench.text import printable

__all__ = [
    "Suite",
    "Variant",
    "canonical",
    "find_suite",
    "json_schema",
    "load_suite",
    "plugin_files",
    "read",
    "structure",
]


@dataclass(frozen=True)
class Suite:
    """A suite, resolved.

    Arguments:
        seeds: every variant is trained with each of them.
        verdict: thresholds of outcomes, all of them (see `ganbench.judging.thresholds.Thresholds`).
        compare: "metric" (a value of a metric, or None) and "baseline" (part of a variant as it is written
            in the matrix, or None).
        plugins: single-file plugins that the suite names.
        instances: the components of its variants, for its plan to go on with.
    """

    name: str
    description: str
    path: Path
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]
    verdict: dict[str, OptionValue]
    compare: CompareConfig
    plugins: tuple[Path, ...]
    instances: Instances = field(default_factory=Instances, repr=False, compare=False)


def find_suite(name_or_path: str | Path, catalogue: Catalogue) -> Path:
    """The suite file of that path, or of that name among the catalogue's; BadInput names the nearest."""
    text, path = str(name_or_path), Path(name_or_path)
    # before files: a folder named like a suite must not hide it
    if text in catalogue.suites:
        return catalogue.suites[text]
    if path.suffix == ".toml" or len(path.parts) > 1:
        return path  # `read` reports what is wrong with it, if anything
    try:
        if path.is_file():
            return path
    # a name too long for the file system, or with a NUL character, is no file
    except (OSError, ValueError):
        pass
    shown = printable(text)
    raise BadInput(f"unknown suite {shown!r}; {nearest(shown, catalogue.suites)}, or give the path of a file")


def plugin_files(path: Path | str) -> list[Path]:
    """The single-file plugins that a suite names, needed before it can be loaded."""
    return read(path).plugins


def load_suite(
    source: Path | str | SuiteFile,
    catalogue: Catalogue,
    *,
    overrides: Sequence[str] = (),
    seeds: int | Sequence[int] | None = None,
    steps: int | None = None,
) -> Suite:
    """The suite in a file. Raise BadInput with everything that is wrong with it.

    Arguments:
        source: path of the file, or the file as `read` has read it.
        overrides: "path=value" each, a value in TOML or a bare string, applied before validation.
        seeds: in place of those of the file: a count, or a list.
        steps: in place of every number of steps in the file; evaluations come no later than that.
    """
    file = source if isinstance(source, SuiteFile) else read(source)
    problems, instances = Problems(), Instances()
    _override(file.raw, overrides, problems)
    _apply(file.raw, seeds, steps, problems)
    document, broken = validate(file.raw, problems)
    checked = Checker(catalogue, instances, problems)
    checked.check(document)
    verdict = _verdict(document.verdict, problems)
    plugins = _plugins(document, file.path, problems)
    numbers = _seeds(document)
    variants: list[Variant] = []
    compare = CompareConfig(metric=None, baseline=None)
    # cells take values from both tables: where one is faulty, they would be other ones than are meant
    whole = broken.isdisjoint({"defaults", "matrix"})
    cells = matrix.cells(document, partial(_recipe, catalogue), problems) if whole else None
    if cells:
        if not checked.unknown:  # otherwise a misspelt name would be reported twice
            matrix.unused_options(document, cells, _idle(catalogue, problems.renamed), problems)
        variants = Resolver(catalogue, instances, problems, checked).variants(cells, len(numbers))
        compare = _compare(document, cells, catalogue, problems)
    problems.check(checked.missing.values())
    return Suite(
        name=document.name,
        description=document.description,
        path=file.path,
        seeds=tuple(numbers),
        variants=tuple(variants),
        verdict=verdict,
        compare=compare,
        plugins=plugins,
        instances=instances,
    )


def _seeds(document: Document) -> Sequence[int]:
    """The seeds: those of a list, or the first of a count, which may be too large to enumerate."""
    given: int | list[int] = document.defaults.seeds
    return range(given) if isinstance(given, int) else given


def _idle(catalogue: Catalogue, overridden: Iterable[str]) -> set[str]:
    """Components that may have options though no variant is seen to use them.

    Which extractors are used depends on metrics and data, which come later. Where the command line has
    changed the components, the file's options of the others are left over, not misspelt.
    """
    changed = any(path.split(".")[0] in ("defaults", "matrix") for path in overridden)
    return {name for kind in (KINDS if changed else ("extractor",)) for name in catalogue.names(kind)}


def _override(raw: RawTable, overrides: Iterable[str], problems: Problems) -> None:
    """Put `--set PATH=VALUE` into the raw document; problems there name the option."""
    for text in overrides:
        try:
            problems.renamed[override(raw, text)] = f"--set {text}"
        except BadInput as error:
            problems.extend(error.problems)


def _apply(raw: RawTable, seeds: int | Sequence[int] | None, steps: int | None, problems: Problems) -> None:
    """Put the command line's seeds and steps into the raw document."""
    defaults = raw.setdefault("defaults", {})
    matrix = raw.get("matrix", {})
    if not isinstance(defaults, dict) or not isinstance(matrix, dict):
        return  # validation reports it
    if seeds is not None:
        defaults["seeds"] = seeds if isinstance(seeds, int) else list(seeds)
        problems.renamed["defaults.seeds"] = "--seeds"
    if steps is None:
        return
    # --steps replaces every number of steps, so those of the matrix go
    includes = matrix.get("include", [])
    tables = [table for table in (includes if isinstance(includes, list) else []) if isinstance(table, dict)]
    for table in [matrix, *tables]:
        table.pop("steps", None)
    defaults["steps"] = steps
    problems.renamed["defaults.steps"] = "--steps"
    # a file that evaluates every 1,000 steps must stay sound under --steps 100
    for table in [defaults, *tables]:
        evaluate = table.get("evaluate")
        if isinstance(evaluate, dict) and _exceeds(evaluate.get("every"), steps):
            evaluate["every"] = steps


def _exceeds(every: OptionValue, steps: int) -> bool:
    # bool is a subclass of int; validation reports it
    return type(every) is int and 0 < steps < every


def _verdict(given: Mapping[str, OptionValue], problems: Problems) -> dict[str, OptionValue]:
    """All thresholds, defaults filled in."""
    thresholds = [field.name for field in fields(Thresholds)]
    for name in given.keys() - set(thresholds):
        problems.add(f"verdict.{name}", f"unknown threshold; {nearest(name, thresholds)}")
    sound = {name: value for name, value in given.items() if name in thresholds}
    try:
        return options_of(create(Thresholds, sound, "verdict"))
    except BadInput as error:
        problems.extend(error.problems)
        return {}


def _recipe(catalogue: Catalogue, model: str | None) -> Mapping[str, OptionValue]:
    """What a model was published with; nothing where it is not there."""
    registered = catalogue.of("model").get(model or "")
    return registered.cls.recipe if registered else {}


def _plugins(document: Document, path: Path, problems: Problems) -> tuple[Path, ...]:
    files = tuple(path.parent / name for name in document.plugins)
    for index, file in enumerate(files):
        if "\0" in str(file) or not file.is_file():
            problems.add(f"plugins.{index}", f"there is no file {printable(str(file))}")
    return files


def _compare(
    document: Document, cells: list[matrix.Cell], catalogue: Catalogue, problems: Problems
) -> CompareConfig:
    """What is compared; the metric is by default the first one of the first variant that has any."""
    names = list(dict.fromkeys(metric["name"] for cell in cells for metric in cell.metrics()))
    installed = catalogue.of("metric")
    values = [value for name in names if name in installed for value in installed[name].cls.values]
    metric = document.compare.metric or (values[0] if values else None)
    # a metric may give several values, none of them of its name: then its first one is meant
    if metric is not None and metric in names and metric in installed and metric not in values:
        metric = next(iter(installed[metric].cls.values))
    if metric is not None and metric not in values and all(name in installed for name in names):
        problems.add("compare.metric", f"no variant is measured by {metric!r}; {nearest(metric, values)}")
    baseline = document.compare.baseline.given() if document.compare.baseline else None
    if baseline is not None and not problems.found:  # another problem may be why no variant is like it
        why = matrix.why_unlike(baseline, [cell.values for cell in cells])
        if why:
            problems.add("compare.baseline", why)
    return {"metric": metric, "baseline": baseline}


def structure(config: VariantConfig, catalogue: Catalogue) -> tuple[VariantConfig, dict[str, float]]:
    """Split a resolved variant into what its stack shares and what may differ inside the stack.

    Returns:
        The variant with null in place of every value that can be swept inside a stack, and these values
        by path. Variants whose structures are equal (as canonical JSON) can share a stack.
    """
    # deep: the nested tables below are changed in place
    shared = copy.deepcopy(config)
    values: dict[str, float] = {}
    # a loss and techniques are asked anew in every step; data are loaded and networks built once a stack
    for kind, part in [("loss", shared["loss"]), *(("technique", part) for part in shared["techniques"])]:
        registered = catalogue.components[kind].get(part["name"])
        for option in sorted(sweepable(registered.cls)) if registered else ():
            values[f"{part['name']}.{option}"] = part["options"][option]
            part["options"][option] = None
    for player, table in shared["optimizer"].items():
        for option in sorted(sweepable(OPTIMIZERS[table["name"]])):
            values[f"optimizer.{player}.{option}"] = table[option]
            table[option] = None
        for index, beta in enumerate(table.get("betas", ())):
            values[f"optimizer.{player}.betas.{index}"] = beta
            table["betas"][index] = None
    return shared, values


def program_key(config: StackConfig) -> str:
    """Equal for stacks that the same prepared program can train: seeds and varying values may differ."""
    # a value that does not vary within the stack is a constant of the program
    varying = sorted(config["values"][0])
    shared = copy.deepcopy(config["variants"][0])
    for path in varying:
        _blank(shared, path)
    # the runs are counted: of an archive's stack a few may be trained again, by the engine of all
    return canonical([shared, varying, len(config["values"]), config["engine"]])


def _blank(config: VariantConfig, path: str) -> None:
    """Put null in the place of the value with that path, spelled as `structure` spells it."""
    owner, _, option = path.rpartition(".")
    kind, *player = owner.split(".")
    if kind == "optimizer" and player[1:] == ["betas"]:
        config["optimizer"][player[0]]["betas"][int(option)] = None
    elif kind == "optimizer" and player:
        config["optimizer"][player[0]][option] = None
    for part in (config["loss"], *config["techniques"]):
        if part["name"] == owner:
            part["options"][option] = None


def json_schema() -> dict[str, object]:
    """The JSON schema of suite files, for editors."""
    schema = Document.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
