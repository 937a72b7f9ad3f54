"""The shape of a suite file: the pydantic models of its tables.

Names and options of components are not looked at here: that needs a catalogue (`ganbench.suites.checks`).
"""

from __future__ import annotations

import json
import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails

from ganbench.errors import nearest
from ganbench.suites.toml_file import Problems, RawTable, RawValue, items_of
from ganbench.text import brief

MATRIX_KEYS = (
    *("dataset", "model", "loss", "techniques", "optimizer"),
    *("batch", "steps", "precision", "tf32"),
)


def _seeds(value: RawValue) -> int | list[int]:
    # not isinstance: True is an int too
    if type(value) is int:
        if not 1 <= value < 2**63:
            raise ValueError(f"there must be at least one seed (got {brief(value)})")
        return value
    if not isinstance(value, list) or any(type(seed) is not int for seed in value):
        raise ValueError(f"must be a count or a list of whole numbers (got {brief(value)})")
    if not value:
        raise ValueError("must not be empty")
    for seed in value:
        if not 0 <= seed < 2**63:
            raise ValueError(f"a seed must be between 0 and 2^63 - 1 (got {brief(seed)})")
    return distinct(value)


def distinct(values: list[RawValue]) -> list[RawValue]:
    """`values`, where none occurs twice; ValueError names the first that does."""
    seen = set()
    for index, value in enumerate(values):
        # tables are not hashable; `default=str` is for the dates that TOML knows
        key = json.dumps(value, sort_keys=True, default=str)
        if key in seen:
            raise ValueError(f"entry {index} repeats {brief(value)}")
        seen.add(key)
    return values


def _name(value: str) -> str:
    if not value.isprintable() or not 1 <= len(value) <= 80:  # it is shown in labels and on terminals
        raise ValueError(f"must be a name of 1 to 80 printable characters (got {brief(value)})")
    return value


def _some(values: RawValue) -> RawValue:
    if values == []:
        raise ValueError("must not be empty; leave the key out to take the value of [defaults]")
    return distinct(values) if isinstance(values, list) else values


Count = Annotated[int, Field(ge=1, lt=2**31)]
Precision = Literal["float32", "float64"]
Name = Annotated[str, AfterValidator(_name)]
# before pydantic's own check, so that the message names the entry as written
Names = Annotated[list[Name], BeforeValidator(lambda v: distinct(v) if isinstance(v, list) else v)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
_SEEDS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
    ],
    "description": "A count of seeds (0, 1, …), or a list of them.",
}
Seeds = Annotated[Any, PlainValidator(_seeds), WithJsonSchema(_SEEDS_SCHEMA)]
_METRIC_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    ]
}


def _metric(value: RawValue) -> RawTable:
    entry = {"name": value} if isinstance(value, str) else value
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ValueError(f'must be a name or a table such as {{ name = "fid" }} (got {brief(value)})')
    _name(entry["name"])
    return entry


Metric = Annotated[RawTable, PlainValidator(_metric), WithJsonSchema(_METRIC_SCHEMA)]


class Table(BaseModel):
    """A table of the file: unknown keys and loose types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    def given(self) -> RawTable:
        """The keys that the file has, with their values."""
        return self.model_dump(exclude_unset=True)


class Evaluate(Table):
    """When and how runs are evaluated."""

    every: Count | None = Field(None, description="Steps between evaluations; at the end if left out.")
    samples: Annotated[int, Field(ge=2, lt=2**31)] = Field(2500, description="Samples an evaluation.")
    probes: list[Literal["cosine", "layers"]] = Field([], description="Probes in addition to the usual ones.")
    metrics: list[Metric] = Field([], description="Metrics: a name, or a table of a name and options.")


class Keys(Table):
    """What a matrix can vary."""

    dataset: Name | None = None
    model: Name | None = None
    loss: Name | None = None
    techniques: Names | None = None
    optimizer: RawTable | None = Field(None, description="name, options, and one table a player.")
    batch: Count | None = None
    steps: Count | None = None
    precision: Precision | None = None
    tf32: bool | None = Field(None, description="Whether a GPU may round float32 factors to TF32.")


class Entry(Keys):
    """What makes up a variant."""

    evaluate: Evaluate | None = None


class Defaults(Entry):
    """Values of every variant, unless the matrix says otherwise."""

    seeds: Seeds = 10


class Include(Entry):
    """A further variant, in addition to the product of the matrix."""

    options: dict[Name, RawTable] = {}


class Pattern(Keys):
    """A part of a variant, to find variants by."""

    @model_validator(mode="after")
    def _not_empty(self) -> Pattern:
        if not self.model_fields_set:
            raise ValueError(f"must have one of the keys {', '.join(MATRIX_KEYS)}")
        return self


class Matrix(Table):
    """Lists whose product makes variants."""

    dataset: Annotated[list[Name] | None, BeforeValidator(_some)] = None
    model: Annotated[list[Name] | None, BeforeValidator(_some)] = None
    loss: Annotated[list[Name] | None, BeforeValidator(_some)] = None
    techniques: Annotated[list[Names] | None, BeforeValidator(_some)] = None
    optimizer: Annotated[list[RawTable] | None, BeforeValidator(_some)] = None
    batch: Annotated[list[Count] | None, BeforeValidator(_some)] = None
    steps: Annotated[list[Count] | None, BeforeValidator(_some)] = None
    precision: Annotated[list[Precision] | None, BeforeValidator(_some)] = None
    tf32: Annotated[list[bool] | None, BeforeValidator(_some)] = None
    exclude: list[Pattern] = []
    include: list[Include] = []

    @property
    def lists(self) -> dict[str, list[RawValue]]:
        """The lists that the file gives, in the order of MATRIX_KEYS."""
        return {key: getattr(self, key) for key in MATRIX_KEYS if getattr(self, key) is not None}

    @model_validator(mode="after")
    def _not_empty(self) -> Matrix:
        if not self.lists and not self.include:
            raise ValueError('is empty: give a list such as loss = ["hinge"], or leave [matrix] out')
        return self


class Compare(Table):
    """What is compared, and with what."""

    metric: Name | None = None
    baseline: Pattern | None = None


class Document(Table):
    """A benchmark suite of ganbench."""

    # an alias, because pydantic's models have a method `schema`
    schema_version: Literal[1] = Field(alias="schema")
    name: Slug
    description: str = ""
    plugins: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="Plugin files, relative to the suite."
    )
    defaults: Defaults = Field(default_factory=Defaults)  # type: ignore[arg-type]
    matrix: Matrix | None = None
    options: dict[Name, RawTable] = Field({}, description="Options of components, by name.")
    verdict: RawTable = Field({}, description="Thresholds of outcomes.")
    compare: Compare = Field(default_factory=Compare)

    @property
    def includes(self) -> list[Include]:
        """The entries of the matrix in addition to its product."""
        return self.matrix.include if self.matrix else []


def validate(raw: Mapping[str, RawValue], problems: Problems) -> tuple[Document, frozenset[str]]:
    """The typed document without its faulty parts, and the top-level keys that have any."""
    unusable = list(_unusable(raw, ()))
    for path, what in unusable:
        problems.add(".".join(path), what)
    faulty = [path for path, _ in unusable]
    try:
        document = Document.model_validate(_without(raw, faulty, 2))
    except ValidationError as error:
        cut = [path[:2] for path in faulty]  # reported already: not once more as missing
        for item in error.errors():
            path = tuple(map(str, item["loc"]))
            faulty.append(path)
            if path not in [place[: len(path)] for place in cut]:
                problems.add(".".join(path), _explain(item))
        document = _remains(raw, faulty)
    return document, frozenset(path[0] for path in faulty)


def _remains(raw: Mapping[str, RawValue], faulty: Sequence[Sequence[str]]) -> Document:
    """The document without as little as can be left out, so that as much as can be is checked further."""
    stopgap = {"schema": 1, "name": "unnamed"}  # required, and may be what is faulty
    try:
        return Document.model_validate(stopgap | _without(raw, faulty, 2))
    except ValidationError:
        return Document.model_validate(stopgap | _without(raw, faulty, 1))


def _without(raw: Mapping[str, RawValue], faulty: Sequence[Sequence[str]], depth: int) -> RawTable:
    """`raw` without the keys at `faulty`, cut at `depth`; lists stay whole or go, so that indices hold."""
    remaining = dict(raw)
    for path in faulty:
        top = path[0]
        if depth == 2 and len(path) > 1 and isinstance(remaining.get(top), dict):
            remaining[top] = {key: value for key, value in remaining[top].items() if key != path[1]}
        else:
            remaining.pop(top, None)
    return remaining


def _unusable(value: RawValue, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Numbers that are not finite or too large, and dates: TOML has them, suites do not."""
    for key, item in items_of(value):
        yield from _unusable(item, (*path, str(key)))
    if isinstance(value, float) and not math.isfinite(value):
        yield path, f"must be finite (got {value})"
    # 64 bits: parquet and most readers of JSON hold no more
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield path, "is too large a number"
    elif not isinstance(value, dict | list | str | int | float):
        yield path, f"must not be a date or a time (got {value})"


_PLAIN = {
    "missing": "is missing",
    "list_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": (
        "must be 1 to 80 of lower-case letters, digits, '-', '_' and '.', beginning with a letter or a digit"
    ),
}


def _explain(item: ErrorDetails) -> str:
    if item["type"] == "extra_forbidden":
        known = _keys_at(item["loc"][:-1])
        # a frequent mistake, which the nearest key would not explain
        if item["loc"][-1] == "seeds":
            return "seeds are those of the whole suite: set them in [defaults]"
        return f"unknown key; {nearest(str(item['loc'][-1]), known)}"
    if item["type"] == "missing":
        return "is missing; write schema = 1" if item["loc"] == ("schema",) else "is missing"
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    plain = _PLAIN.get(item["type"])
    what = plain.format(**item.get("ctx", {})) if plain else item["msg"]
    return f"{what} (got {brief(item['input'])})"


def _keys_at(loc: Sequence[int | str]) -> list[str]:
    """The keys of the table at `loc`."""
    table: type[Table] = Document
    # indices of lists lead to no other table
    for key in loc:
        if isinstance(key, str) and key in table.model_fields:
            table = next(_tables(table.model_fields[key].annotation), table)
    return [field.alias or name for name, field in table.model_fields.items()]


def _tables(annotation: object) -> Iterator[type[Table]]:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _tables(argument)
