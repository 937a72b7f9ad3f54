"""Why a class cannot be registered as a component, and how to fix it.

What is refused here would otherwise fail later, or silently do nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from ganbench.components import spelling
from ganbench.components.base import Component
from ganbench.components.kinds import KINDS, Direction, Technique
from ganbench.errors import nearest
from ganbench.hookspecs import HOOKS
from ganbench.plugins.describe import ARROWS, wrapped


@dataclass(frozen=True)
class Refusal:
    """Why a class is refused.

    Arguments:
        reason: one sentence.
        fix: what to write instead.
    """

    reason: str
    fix: str


def refusal(kind: str, cls: object) -> Refusal | None:
    """Why `cls` cannot be registered as a component of that kind, or None."""
    if not (isinstance(cls, type) and issubclass(cls, KINDS[kind])):
        return _of_another_kind(kind, cls)
    return _unfinished(cls) or _OF_KIND.get(kind, lambda cls: None)(cls)


def of_values(cls: type) -> Refusal | None:
    """Why what a metric says of its values cannot be used, or None."""
    values, directions = getattr(cls, "values", None), get_args(Direction)
    fix = f'write `values = {{"{_name(cls)}": "lower"}}`, or "higher"; the first is the metric\'s own'
    if not isinstance(values, dict) or not values:
        held = "has no `values`" if values is None else f"has `values` of {values!r:.80}, not a table"
        return Refusal(f"{cls.__qualname__} {held}: they say what it measures, and what is better", fix)
    for name, direction in values.items():
        if direction not in directions:
            choices = nearest("", directions)
            return Refusal(f"the direction of {name!r} is {direction!r}; {choices}", fix)
    return None


def of_arrows(cls: type[Technique]) -> Refusal | None:
    """Why a technique does nothing, or None."""
    if wrapped(cls) or cls.within is not Technique.within:
        return None
    near = {name: spelling.closest(name, (*ARROWS, "networks")) for name in spelling.own(cls)}
    hints = [spelling.misnamed(name, meant) for name, meant in near.items() if meant]
    reason = f"{cls.__qualname__} wraps none of {', '.join(ARROWS)}"
    return Refusal("; ".join([reason, *hints]), "name its method as the arrow that it wraps")


def _of_another_kind(kind: str, cls: object) -> Refusal:
    """The refusal of what is not a class, or is a class of another kind."""
    wanted = KINDS[kind].__name__
    if isinstance(cls, Component):
        made = type(cls).__qualname__
        fix = f"write `return [{made}]`, without brackets after it"
        return Refusal(f"an object made from {made} is not a {wanted} class", fix)
    if not isinstance(cls, type):
        return Refusal(f"{cls!r:.80} is not a {wanted} class", "return classes")
    label, other = cls.__qualname__, getattr(cls, "kind", None)
    fix = f"begin it with `class {label}(ganbench.{wanted}):`"
    if issubclass(cls, Component) and other in HOOKS:
        fix = f"it is a {other}: return it from {HOOKS[other]}"
    return Refusal(f"{label} is not a {wanted} class", fix)


def _unfinished(cls: Any) -> Refusal | None:
    """Why a class does not have what every component needs, or None."""
    label = cls.__qualname__
    if not isinstance(getattr(cls, "name", None), str):
        return Refusal(f"{label} has no name", f'write `name = "{_name(cls)}"` in the class')
    # Python itself raises only when an object is made, in the middle of a suite
    if inspect.isabstract(cls):
        absent = sorted(cls.__abstractmethods__)
        near = {name: spelling.closest(name, absent) for name in spelling.own(cls)}
        hints = [spelling.misnamed(name, meant) for name, meant in near.items() if meant]
        reason = "; ".join([f"{label} does not define {', '.join(absent)}", *hints])
        return Refusal(reason, "add the missing methods to the class")
    # components are shared between runs, which is safe only if they cannot change
    if not hasattr(cls, "__dataclass_fields__") or not cls.__dataclass_params__.frozen:
        return Refusal(
            f"{label} is not a frozen dataclass", "write `@dataclass(frozen=True)` above the class"
        )
    return None


def _of_family(cls: type) -> Refusal | None:
    """A loss or model without a family fits nothing."""
    if isinstance(getattr(cls, "family", None), str):
        return None
    fix = 'write `family = "adversarial"`, or "variational", in the class'
    return Refusal(f"{cls.__qualname__} has no family", fix)


def _name(cls: type) -> str:
    """The name of a component, or one made of its class's, in kebab case."""
    name = getattr(cls, "name", None)
    # MarginHinge -> margin-hinge: a hyphen where lower case meets upper case
    return name if isinstance(name, str) else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()


_OF_KIND: dict[str, Callable[[Any], Refusal | None]] = {
    "model": _of_family,
    "loss": _of_family,
    "technique": of_arrows,
    "metric": of_values,
}
