"""What every kind of component has: a name, and options that are validated once."""

from __future__ import annotations

import copy
import dataclasses
import json
import reprlib
import typing
from abc import ABC
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ganbench.components import spelling
from ganbench.errors import BadInput, Problem, nearest
from ganbench.storage.records import OptionValue

T = TypeVar("T")


class Component(ABC):
    """What every kind has: a name, options (dataclass fields), and a docstring citing its paper."""

    kind: ClassVar[str]
    name: ClassVar[str]
    places: ClassVar[tuple[str, ...]] = ()
    """Options that say where files lie on this machine: they do not identify a run."""
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True
    )

    @classmethod
    def asked_every_step(cls) -> bool:
        """Whether training asks it anew in every step, so that its numbers can be swept inside a stack.

        Data are loaded and networks built once a stack.
        """
        return False


def create(cls: type[T], options: Mapping[str, object], where: str = "") -> T:
    """A validated component or dataclass of options. BadInput holds every unknown or ill-typed option.

    Options are read as JSON and strictly: a list may be a tuple, but "1" and true are not numbers.
    """
    kind: type = cls
    try:
        # JSON, as in files: strict mode then takes a list for a tuple, yet no "1" for a number.
        # `default=str`: TOML dates become text, and the type check reports them.
        made: T = _adapter(kind).validate_json(json.dumps(dict(options), default=str), strict=True)
    except ValidationError as error:
        raise BadInput(_problems(error, cls, where)) from None
    return made


def options_of(component: object) -> dict[str, OptionValue]:
    """All options of a component with their values, JSON-able."""
    return _adapter(type(component)).dump_python(component, mode="json")  # type: ignore[no-any-return, arg-type]


def sweepable(cls: type[Component]) -> frozenset[str]:
    """Names of the options that can be swept inside a stack.

    Those typed float, of components that are asked anew in every step; the others are structural.
    """
    if not cls.asked_every_step() or not dataclasses.is_dataclass(cls):
        return frozenset()
    # resolves string annotations, which `field.type` leaves as text
    hints = typing.get_type_hints(cls)
    return frozenset(f.name for f in dataclasses.fields(cls) if hints[f.name] is float)


def bind(component: T, values: Mapping[str, object]) -> T:
    """A copy of `component` with `values` in place of its options, unvalidated (they may be tensors)."""
    bound = copy.copy(component)
    for name, value in values.items():
        # components are frozen; this copy is not shared yet
        object.__setattr__(bound, name, value)
    return bound


# pydantic takes milliseconds to build an adapter
@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def unknown_option(cls: type, name: str) -> str:
    """The message about an option that a component does not have."""
    if name in (values := spelling.untyped(cls)):
        return spelling.why_untyped(name, values[name])
    return f"unknown option; {nearest(name, [field.name for field in dataclasses.fields(cls)])}"  # type: ignore[arg-type]


def _problems(error: ValidationError, cls: type, where: str) -> list[Problem]:
    problems = []
    for item in error.errors():
        path = ".".join([where, *map(str, item["loc"])] if where else map(str, item["loc"]))
        # pydantic's names for one fault, of models and of dataclasses
        if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            problems.append(Problem(path, unknown_option(cls, str(item["loc"][-1]))))
        elif item["type"] == "missing":
            problems.append(Problem(path, "is missing"))
        else:
            message = item["msg"].removeprefix("Value error, ")
            # the message follows a path and a colon
            message = message[:1].lower() + message[1:]
            # without a path the input is the whole table, too long to show
            got = f" (got {reprlib.repr(item['input'])})" if item["loc"] else ""
            problems.append(Problem(path, message + got))
    return problems
