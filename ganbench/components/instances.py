"""Components that are made once and shared: by the checks of a suite, its variants and its plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from ganbench.components.base import Component, create, options_of
from ganbench.errors import BadInput, Problem

C = TypeVar("C", bound=Component)


class Create(Protocol):
    """How a component is made: anew (`ganbench.components.create`), or once (`Instances.create`)."""

    def __call__(self, cls: type[C], options: Mapping[str, object], where: str = "") -> C:
        """A validated component; bad options raise BadInput."""


class Instances:
    """Makes components, and returns the same one again for the same class and options.

    Sharing is safe because components are frozen, and swept values are bound to copies of them.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[type, str], Any] = {}

    def create(self, cls: type[C], options: Mapping[str, object], where: str = "") -> C:
        """The component. Bad options raise BadInput, each time anew: the message names their place."""
        # text, because options may hold lists, which are not hashable
        key = (cls, _text(options))
        if key not in self._made:
            component = create(cls, options, where)
            # also under all of its options: a suite file sets some, a resolved variant has every one
            self._made[key] = self._made.setdefault((cls, _text(options_of(component))), component)
        made: C = self._made[key]
        return made

    def attempt(
        self, cls: type[C], options: Mapping[str, object], where: str
    ) -> tuple[C | None, tuple[Problem, ...]]:
        """The component and no problems, or None and what is wrong with the options."""
        try:
            return self.create(cls, options, where), ()
        except BadInput as error:
            return None, error.problems
        except Exception as error:  # a plugin's own code
            what = f"{cls.__name__} cannot be made: {type(error).__name__}: {error}"
            return None, (Problem(where, what),)


def _text(options: Mapping[str, object]) -> str:
    """Options as a key. 1 and 1.0 differ here, so that no option passes for one of another type."""
    return json.dumps(dict(options), sort_keys=True, default=str)
