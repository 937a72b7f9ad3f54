"""One class of tests a kind of component: subclass it in your tests and name your component.

class TestMarginHinge(LossChecks):
    component = MarginHinge
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ganbench.testing.findings import Check, Finding, checks_of

if TYPE_CHECKING:
    import pytest

    from ganbench.components.base import Component
    from ganbench.components.data import Data
    from ganbench.storage.records import OptionValue
    from ganbench.testing.case import Case


class CheckRemark(UserWarning):
    """A warning: a check passed, but something could be better."""


class ComponentChecks:
    """The checks of one kind of component, one test each.

    Arguments:
        component: the class to check.
        options: its options, where the defaults do not suffice.
        data: what to try it on; None: small data of the kit's own.
        variant: other parts of the game it is tried in: "model", "loss", "techniques" (names), "options"
            (name -> options), "batch", "optimizer".
        skip: names of checks that it is expected to fail, e.g. ("mappable",).
    """

    kind: ClassVar[str] = ""
    component: ClassVar[type[Component]]
    options: ClassVar[Mapping[str, OptionValue]] = {}
    data: ClassVar[Data | None] = None
    variant: ClassVar[Mapping[str, OptionValue]] = {}
    skip: ClassVar[tuple[str, ...]] = ()
    _made: ClassVar[Case]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize `test_it` with the checks of this kind."""
        # a subclass may add tests of its own, which take no check
        if "conformance" in metafunc.fixturenames:
            checks = checks_of(self.kind)
            metafunc.parametrize("conformance", checks, ids=[check.name for check in checks])

    def test_it(self, conformance: Check) -> None:
        """The component passes the check."""
        __tracebackhide__ = True
        if conformance.name in self.skip:
            _skip(f"{conformance.name} is skipped")
        settle(conformance(self._case()))

    @classmethod
    def _case(cls) -> Case:
        """The component's case, made once a class: finding a game to try it in takes time."""
        # in __dict__, not by hasattr: a subclass must not get its parent's case
        if "_made" not in cls.__dict__:
            cls._made = cls.case()
        return cls._made

    @classmethod
    def case(cls) -> Case:
        """The case that is checked: the component, and what to try it with."""
        from ganbench.testing.case import Case
        from ganbench.testing.run import installed

        # otherwise every check of another kind would fail, without naming the mix-up
        kind = getattr(cls.component, "kind", None)
        if kind != cls.kind:
            raise TypeError(f"{cls.component.__name__} is a {kind}; {cls.__name__} checks a {cls.kind}")
        return Case(cls.component, installed(), cls.options, cls.data, cls.variant)


def settle(finding: Finding) -> None:
    """End a test as the finding says: fail, warn, skip, or pass."""
    __tracebackhide__ = True
    if finding.outcome == "failed":
        raise AssertionError(f"{finding}")
    if finding.outcome == "not tried":
        _skip(finding.seen)
    if finding.outcome == "remark":
        warnings.warn(str(finding), CheckRemark, stacklevel=2)


def _skip(reason: str) -> None:
    # here, so that the kit can be used where pytest is not installed
    import pytest

    pytest.skip(reason)


class ModelChecks(ComponentChecks):
    """Checks of a model."""

    kind = "model"


class LossChecks(ComponentChecks):
    """Checks of a loss."""

    kind = "loss"


class TechniqueChecks(ComponentChecks):
    """Checks of a technique."""

    kind = "technique"


class DatasetChecks(ComponentChecks):
    """Checks of a data set."""

    kind = "dataset"


class MetricChecks(ComponentChecks):
    """Checks of a metric."""

    kind = "metric"


class ExtractorChecks(ComponentChecks):
    """Checks of a feature extractor."""

    kind = "extractor"


class ExecutorChecks(ComponentChecks):
    """Checks of an executor."""

    kind = "executor"


class LoggerChecks(ComponentChecks):
    """Checks of a logger."""

    kind = "logger"
