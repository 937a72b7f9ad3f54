"""Checks of every component: its options and its docstring."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re

from ganbench.components import spelling
from ganbench.components.base import create, options_of
from ganbench.errors import BadInput, nearest
from ganbench.plugins.describe import meanings
from ganbench.testing.case import Case
from ganbench.testing.findings import Remark, Unmet, check

_CITES = re.compile(r"\b(1[89]|20)\d\d\b|arXiv|doi|https?://|\bas in\b|\bno paper\b", re.IGNORECASE)
"""A year, an address, or a word that there is none."""


@check()
def can_be_made(case: Case) -> None:
    """It can be made from its options.

    Fix: give every option a default; or name values for them: `options = {…}` in the test, `--set` for
    `check`.
    """
    case.make()


@check()
def options_round_trip(case: Case) -> None:
    """Written as JSON and read back, its options make the same component.

    Fix: type options as str, bool, int, float, Literal[...], or tuples of these.
    """
    # JSON, since options are stored in suite locks and run keys
    written = json.dumps(options_of(case.component), allow_nan=False)
    again = create(case.cls, json.loads(written))
    if again != case.component:
        raise Unmet(f"{case.component} became {again}")


@check()
def refuses_unknown_options(case: Case) -> None:
    """An option that it does not have is refused, with the nearest that it has.

    Fix: leave `__pydantic_config__` and `__init__` as they are; `places` names options.
    """
    fields = [field.name for field in dataclasses.fields(case.cls)]  # type: ignore[arg-type]
    try:
        # with the given options, or a missing required one would be reported instead
        create(case.cls, {**case.options, "no_such_option": 1})
    except BadInput:
        pass
    else:
        raise Unmet("the unknown option 'no_such_option' was accepted silently")
    astray = [name for name in case.cls.places if name not in fields]
    if astray:
        raise Unmet(f"`places` names {astray[0]!r}, which is no option; {nearest(astray[0], fields)}")


@check()
def types_its_options(case: Case) -> None:
    """A value written in its body has a type: its own, as an option, or ClassVar where it is none.

    Fix: write `x: float = 1.0` for an option, and `x: ClassVar[float] = 1.0` for what is none.
    """
    for name, value in spelling.untyped(case.cls).items():
        if not isinstance(value, bool):  # as `pairs` is: a mark
            raise Unmet(spelling.why_untyped(name, value))


@check()
def spells_its_members(case: Case) -> None:
    """Its public methods and values are not a letter off those that its kind has.

    Fix: name it as its kind does; if it is a helper of your own, begin its name with an underscore.
    """
    messages = [spelling.misnamed(name, meant) for name, meant in spelling.misspelt(case.cls).items()]
    if messages:
        raise Unmet("; ".join(messages))


@check()
def is_documented(case: Case) -> None:
    """The docstring says what it is, and what each of its options is, under "Arguments:" or by name.

    Fix: begin the docstring with one sentence; say what each option is under "Arguments:".
    """
    doc = _doc(case.cls)
    if not doc:
        raise Unmet("there is no docstring")
    described = {*meanings(doc), *_inherited(case.cls), *re.findall(r"\w+", doc)}
    silent = [field.name for field in dataclasses.fields(case.cls) if field.name not in described]  # type: ignore[arg-type]
    if silent:
        raise Unmet(f"the docstring does not mention {', '.join(map(repr, silent))}")


@check("model", "loss", "technique", "metric")
def cites_its_paper(case: Case) -> None:
    """The first paragraph of the docstring cites a paper, or says why not.

    Fix: cite a paper there (Lim and Ye 2017, arXiv:1705.02894), or say why there is none.
    """
    first = _doc(case.cls).partition("\n\n")[0]
    if not _CITES.search(first):
        raise Remark(f"it reads {' '.join(first.split())!r}")


def _doc(cls: type) -> str:
    """Its own docstring; not the signature that a dataclass puts in its place."""
    doc = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    # `dataclass` writes the signature into an empty __doc__
    return "" if doc.startswith(f"{cls.__name__}(") else doc


def _inherited(cls: type) -> set[str]:
    """Options that the bases say something of."""
    # without the class itself and `object`
    return {name for base in cls.__mro__[1:-1] for name in meanings(inspect.getdoc(base) or "")}
