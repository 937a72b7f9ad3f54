"""Swept values: `{ sweep = [...] }`, `{ linspace = [lo, hi, n] }` and `{ logspace = [lo, hi, n] }`.

A sweep stands where a number stands: as a component's option, as a field of an optimiser (of all players
or of one), or as an entry of `betas`.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ganbench.components.base import Component, unknown_option
from ganbench.components.instances import Instances
from ganbench.errors import nearest
from ganbench.storage.records import OptionValue
from ganbench.suites.toml_file import Problems, items_of
from ganbench.text import brief

KINDS = ("sweep", "linspace", "logspace")
MAX_RUNS = 100_000
"""More runs than these are taken for a mistake."""

Number: TypeAlias = int | float
Spot: TypeAlias = tuple[str, ...]
"""Where in a table a value stands: ("gamma",), or with an index, ("betas", "0")."""
Table: TypeAlias = Mapping[str, OptionValue]


@dataclass(frozen=True)
class Sweep:
    """The values of one swept option, not yet enumerated: `size` may be huge."""

    kind: str
    numbers: tuple[Number, ...]

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.numbers) if self.kind == "sweep" else int(self.numbers[2])

    def values(self) -> list[Number]:
        """The values. Those of a space are rounded to 12 digits, so that 0.1 is written 0.1."""
        if self.kind == "sweep":
            return list(self.numbers)
        low, high, last = self.numbers[0], self.numbers[1], self.size - 1
        if self.kind == "linspace":
            # by index, not by adding up steps, so that rounding does not accumulate
            inner = [low + (high - low) * (i / last) for i in range(1, last)]
        else:
            a, b = math.log10(low), math.log10(high)
            inner = [10 ** (a + (b - a) * (i / last)) for i in range(1, last)]
        # the ends as they are written: 10 ** log10(x) is not always x
        return [float(low), *(float(f"{value:.12g}") for value in inner), float(high)]


@dataclass(frozen=True)
class Axis:
    """One sweep and its place: `spot` is the key in the table, and for betas also the index."""

    spot: Spot
    sweep: Sweep


def is_sweep(value: object) -> bool:
    """Whether `value` is meant as a sweep."""
    return isinstance(value, dict) and not set(KINDS).isdisjoint(value)


def parse(table: Table) -> Sweep:
    """The sweep that `table` describes. Raise ValueError where it describes none."""
    unknown = [key for key in table if key not in KINDS]
    if unknown:
        raise ValueError(f"unknown key {brief(unknown[0])} beside a sweep; {nearest(unknown[0], KINDS)}")
    if len(table) != 1:
        raise ValueError(f"must be one of {', '.join(KINDS)}, not several")
    [(kind, numbers)] = table.items()
    # type, not isinstance: True is an int too
    if not isinstance(numbers, list) or any(type(number) not in (int, float) for number in numbers):
        raise ValueError(f"{kind} must be a list of numbers (got {brief(numbers)})")
    if kind == "sweep":
        if not numbers:
            raise ValueError("sweep must not be empty")
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"sweep repeats {Counter(numbers).most_common(1)[0][0]}")
    else:
        _check_space(kind, numbers)
    return Sweep(kind, tuple(numbers))


def _check_space(kind: str, numbers: list[Number]) -> None:
    if len(numbers) != 3 or type(numbers[2]) is not int or numbers[2] < 2:
        raise ValueError(f"{kind} must be [lowest, highest, count] with a count of 2 or more")
    if kind == "logspace" and min(numbers[:2]) <= 0:
        raise ValueError("logspace must go from one positive number to another")
    if numbers[0] == numbers[1]:
        raise ValueError(f"{kind} must go from one number to another one")


def axes(table: Table) -> list[Axis]:
    """The sweeps of a sound table (see `check`), in its order."""
    return [Axis(spot, parse(value)) for spot, value in _spots(table) if is_sweep(value)]


def fill(table: Table, values: Mapping[Spot, Number]) -> dict[str, OptionValue]:
    """`table` with a value in place of each sweep."""
    filled = dict(table)
    for spot, value in values.items():
        if len(spot) == 1:
            filled[spot[0]] = value
        else:
            # copied, as the table of the document is shared by all variants
            filled[spot[0]] = list(filled[spot[0]])
            filled[spot[0]][int(spot[1])] = value
    return filled


def first(table: Table) -> dict[str, OptionValue]:
    """`table` with the first value in place of each sweep."""
    return fill(table, {axis.spot: axis.sweep.numbers[0] for axis in axes(table)})


def _spots(table: Table) -> Iterator[tuple[Spot, OptionValue]]:
    """Where a sweep may stand."""
    for key, value in table.items():
        yield (key,), value
        if key == "betas" and isinstance(value, list):
            yield from (((key, str(i)), entry) for i, entry in enumerate(value))


def check(cls: type[Component], table: Table, where: str, problems: Problems, instances: Instances) -> bool:
    """Check the options of `cls`, with every value of every sweep. Whether they are sound."""
    usable = _check_sweeps(cls, table, where, problems)
    sound = len(usable) == len(table)
    base = first(usable)
    dropped = set(table) - set(usable)
    _, faults_of_value = instances.attempt(cls, base, where)
    # options whose sweep is malformed are reported already, and would be missing here
    faults = [p for p in faults_of_value if p.where.removeprefix(f"{where}.") not in dropped]
    problems.extend(faults)
    if faults or not sound:
        return False
    for axis in axes(usable):
        if axis.sweep.size > MAX_RUNS:
            continue  # counting the runs reports it; enumerating them would take forever
        # one sweep at a time, the others at their first values: all together they may be millions
        for value in axis.sweep.values()[1:]:
            _, faults_of_value = instances.attempt(cls, fill(base, {axis.spot: value}), where)
            if faults_of_value:
                problems.extend(faults_of_value)
                sound = False
                break  # the other values most likely have the same fault
    return sound


def _check_sweeps(
    cls: type[Component], table: Table, where: str, problems: Problems
) -> dict[str, OptionValue]:
    """The keys of `table` whose sweeps are well formed."""
    usable = {}
    numeric = _numeric(cls)
    for key, value in table.items():
        faults = list(_sweep_faults(cls, key, value, numeric))
        for path, what in faults:
            problems.add(f"{where}.{path}", what)
        if not faults:
            usable[key] = value
    return usable


def _sweep_faults(
    cls: type[Component], key: str, value: OptionValue, numeric: Mapping[str, bool]
) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and numeric.get(key) and not is_sweep(value):
        word = next(iter(value), "")
        yield key, f"unknown way to sweep {brief(word)}; {nearest(word, KINDS)}"
    elif is_sweep(value) and numeric.get(key) is False:
        yield key, "only a number can be swept, and this option is none"
    elif is_sweep(value) and key not in numeric:
        yield key, unknown_option(cls, key)
    elif is_sweep(value):
        yield from _parse_faults(key, value)
    elif key == "betas" and isinstance(value, list):
        for index, entry in enumerate(value):
            if isinstance(entry, dict):
                yield from _parse_faults(f"betas.{index}", entry)
    else:
        what = "a sweep cannot stand here, inside a list or a table"
        yield from ((path, what) for path in _nested(key, value))


def _parse_faults(path: str, table: Table) -> Iterator[tuple[str, str]]:
    try:
        parse(table)
    except ValueError as error:
        yield path, str(error)


def _nested(path: str, value: object) -> Iterator[str]:
    for key, item in items_of(value):
        if is_sweep(item):
            yield f"{path}.{key}"
        else:
            yield from _nested(f"{path}.{key}", item)


def _numeric(cls: type[Component]) -> dict[str, bool]:
    """Option -> whether it is a number (or may be one, as in `float | None`)."""
    # resolves string annotations, which `field.type` leaves as text
    hints = typing.get_type_hints(cls)
    return {field.name: _is_number(hints[field.name]) for field in dataclasses.fields(cls)}  # type: ignore[arg-type]


def _is_number(hint: object) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(map(_is_number, typing.get_args(hint)))
    return hint is int or hint is float
