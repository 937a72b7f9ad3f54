"""Pages of the programming interface: the public names, `Results`, `ganbench.stats`, and the checks."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

import components
from components import cell

import ganbench
from ganbench import stats
from ganbench.results import Results
from ganbench.testing import Check, checks_of

GROUPS = {
    "Components": (
        ("Model", "Loss", "Technique", "Dataset", "Metric", "Extractor", "Executor", "Logger", "hookimpl"),
        "Subclass one of these, and return the class from a [hook](../hooks/index.md).",
    ),
    "What components exchange": (
        ("Data", "DataSpec", "Draw", "Evaluation", "BuildNetworks", "bind", "Adam", "SGD"),
        "Arguments and results of the methods of components.",
    ),
    "Types of a game": (
        (
            *("Turn", "Joint", "Batch", "Out", "Nets", "Named", "Layout", "Play", "Objective"),
            *("GradientField", "Flow", "Rule", "Memory", "Clock", "StepCount", "GameView"),
        ),
        "Points, networks and arrows of the game: see [Concepts](../concepts.md).",
    ),
    "Layers": (
        ("Dropout",),
        "For networks, in place of torch's: see [Port a PyTorch GAN](../write/port.md).",
    ),
    "Helpers for techniques": (
        ("input_grad", "clip_by_norm", "per_player", "compute_once"),
        "Pure functions that work on a single run and on a stack of runs.",
    ),
    "Randomness": (
        ("stream", "isolated_rng"),
        "Random numbers come from streams keyed by a seed and a role, never from the global generator.",
    ),
    "Files, names and errors": (
        ("cache_folder", "write_atomic", "slug", "BadInput", "Problem", "nearest"),
        "For data sets, extractors and loggers that read or write files, and for messages about bad input.",
    ),
    "Results": (
        ("load", "stack_traces", "__version__"),
        "Reading what was trained: `load` returns [`Results`](results.md).",
    ),
}
"""Heading -> the public names below it, and a line about them."""


def pages() -> Iterator[tuple[str, str]]:
    """Path in the docs and text of every page."""
    yield "reference/index.md", public_names()
    yield "reference/results.md", results()
    yield "reference/stats.md", statistics()


def public_names() -> str:
    """Every name of `ganbench.__all__`, by group."""
    lines = ["# Public names", "", "`import ganbench` gives all of these. A plugin needs no others.", ""]
    for heading, (names, summary) in GROUPS.items():
        lines += [f"## {heading}", "", summary, ""]
        for name in names:
            lines += entry(name, getattr(ganbench, name), home(name))
    return "\n".join(lines)


def results() -> str:
    """Every public member of `Results`."""
    lines = ["# Results", "", "What `ganbench.load(folder)` returns.", "", *described(Results), ""]
    for name, member in members(Results):
        lines += [f"## `{name}`", "", *signature(name, member), *described(member), ""]
    return "\n".join(lines)


def statistics() -> str:
    """Every name of `ganbench.stats`."""
    lines = [
        "# ganbench.stats",
        "",
        *described(stats),
        "",
        "Why these statistics: [Statistics](../statistics.md).",
        "",
    ]
    for name in stats.__all__:
        lines += entry(name, getattr(stats, name), home_of_statistic(name), "##")
    return "\n".join(lines)


def checks() -> str:
    """The checks of the conformance kit, one table per kind of component."""
    lines = [
        "### Every component",
        "",
        *checks_table(check for check in checks_of("model") if not check.kinds),
    ]
    for kind, plural in components.PLURALS.items():
        lines += ["", f"### {plural}", "", *checks_table(check for check in checks_of(kind) if check.kinds)]
    return "\n".join(lines)


def checks_table(listed: Iterable[Check]) -> list[str]:
    """A row per check: its name, what is expected, how to fix it."""
    rows = [f"| `{check.name}` | {cell(check.expected)} | {cell(check.fix)} |" for check in listed]
    return ["| check | what is expected | how to fix it |", "| --- | --- | --- |", *rows]


def entry(name: str, item: Any, module: ModuleType, level: str = "###") -> list[str]:
    """A heading, the signature or definition, the docstring, and a class's members."""
    lines = [f"{level} `{name}`", ""]
    if name in (aliases := assigned(module)):
        definition, doc = aliases[name]
        return [*lines, "```text", definition, "```", "", doc, ""]
    lines += [*signature(name, item), *described(item), ""]
    if inspect.isclass(item) and (found := list(members(item))):
        lines += ["| member | |", "| --- | --- |"]
        lines += [
            f"| `{member_name}{parameters(member)}` | {cell(first_paragraph(member))} |"
            for member_name, member in found
        ]
        lines.append("")
    return lines


def home(name: str) -> ModuleType:
    """The module in which a public name is defined."""
    path = ganbench._HOME_OF.get(name, "_version" if name == "__version__" else "errors")
    return importlib.import_module(f"ganbench.{path}")


def home_of_statistic(name: str) -> ModuleType:
    """The module of `ganbench.stats` that defines a name."""
    modules = [module for path, module in sys.modules.items() if path.startswith("ganbench.stats.")]
    return next((module for module in modules if name in assigned(module)), stats)


@cache
def assigned(module: ModuleType) -> dict[str, tuple[str, str]]:
    """Name -> source and documentation of a module's assignments: the string below each."""
    body = ast.parse(inspect.getsource(module)).body
    return {
        item.targets[0].id: (ast.unparse(item), documentation(below))
        for item, below in itertools.pairwise([*body, ast.Pass()])
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name)
    }


def documentation(node: ast.stmt) -> str:
    """The string that an expression statement is, or nothing."""
    is_text = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    return inspect.cleandoc(node.value.value) if is_text else ""  # type: ignore[attr-defined, union-attr, arg-type]


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class itself defines, in the order of its source."""
    fields = {*getattr(cls, "__dataclass_fields__", ()), *getattr(cls, "_fields", ())}
    for name, member in vars(cls).items():
        if name in fields:
            continue  # the class attribute is a default, not a method
        target = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not name.startswith("_") and (
            callable(target) or hasattr(target, "func") or isinstance(target, property)
        ):
            yield name, target


def signature(name: str, item: Any) -> list[str]:
    """A code block with the signature; nothing for properties and abstract classes without arguments."""
    return ["```text", f"{name}{text}", "```", ""] if (text := parameters(item)) else []


def parameters(item: Any) -> str:
    """The parameters and the result of something that is called; of a property nothing."""
    if not callable(item) or (isinstance(item, type) and inspect.isabstract(item)):
        return ""
    text = str(inspect.signature(item)).replace("'", "")
    return "" if text in ("()", "(*args, **kwargs)") and isinstance(item, type) else text


def described(item: Any) -> list[str]:
    """The docstring, its section on arguments as a list."""
    target = getattr(item, "func", item)
    lines, listed = [], False
    for line in (inspect.getdoc(target) or "").splitlines():
        if line == "Arguments:":
            lines, listed = [*lines, "Arguments:", ""], True
        elif listed and line.startswith("    ") and not line.startswith("     "):
            option, _, meaning = line.strip().partition(": ")
            lines.append(f"* `{option}`: {meaning}")
        else:
            listed = listed and line.startswith("    ")
            lines.append(line)
    return lines


def first_paragraph(item: Any) -> str:
    """The docstring up to its first blank line, in one line."""
    doc = inspect.getdoc(getattr(item, "func", item)) or ""
    return " ".join(doc.partition("\n\n")[0].split())
