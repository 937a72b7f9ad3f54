"""All checks of a component, one after another."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from functools import cache

from ganbench.components.base import Component
from ganbench.components.data import Data
from ganbench.plugins.discovery import Catalogue, discover
from ganbench.storage.records import OptionValue
from ganbench.testing.case import Case
from ganbench.testing.findings import Check, Finding, checks_of


@cache
def installed() -> Catalogue:
    """What the installed plugins provide, found once."""
    return discover()


def check(
    component: type[Component],
    catalogue: Catalogue | None = None,
    *,
    options: Mapping[str, OptionValue] | None = None,
    data: Data | None = None,
    variant: Mapping[str, OptionValue] | None = None,
    skip: Collection[str] = (),
) -> list[Finding]:
    """What all checks of its kind find of a component.

    Arguments:
        catalogue: where models, losses, … to try it with come from; None: all that is installed.
        options, data, variant: as those of `ComponentChecks`.
        skip: names of checks to leave out.
    """
    return list(findings(Case(component, catalogue or installed(), options, data, variant), skip))


def findings(case: Case, skip: Collection[str] = ()) -> Iterator[Finding]:
    """One finding a check, as they are made."""
    for one in checks_of(case.cls.kind):
        if one.name not in skip:
            yield quietly(one, case)


def quietly(one: Check, case: Case) -> Finding:
    """What a check finds; warnings are not what is asked about."""
    with warnings.catch_warnings():
        # components are tried on absurd input on purpose, and numpy and torch warn of it
        warnings.simplefilter("ignore")
        return one(case)
