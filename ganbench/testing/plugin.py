"""A plugin of pytest: fixtures for the tests of components.

pytest finds it by the entry point group pytest11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

# for annotations only: each fixture imports what it needs when it is asked for
if TYPE_CHECKING:
    from ganbench.components.base import Component
    from ganbench.components.data import Data
    from ganbench.plugins.discovery import Catalogue
    from ganbench.testing import Finding
    from ganbench.testing.case import Trial


@pytest.fixture(scope="session")
def ganbench_catalogue() -> Catalogue:
    """The catalogue of all installed components."""
    from ganbench.testing.run import installed

    return installed()


@pytest.fixture(scope="session")
def ganbench_points() -> Data:
    """A small mixture of four modes on the plane, with labels."""
    from ganbench.testing import toys

    return toys.points()


@pytest.fixture(scope="session")
def ganbench_images() -> Data:
    """A few images of noise, 1 x 16 x 16, with labels, label maps and a source domain."""
    from ganbench.testing import toys

    return toys.images()


@pytest.fixture
def ganbench_game(ganbench_catalogue: Catalogue) -> Callable[..., Trial]:
    """A toy game with a component in it: `ganbench_game(MyTechnique, options={"weight": 2.0})`.

    Takes what `Case` takes. `.program`, `.batch()`, `.flow(batch, turn)` and `.looped()` are for tests of
    values, gradients and trained runs.
    """

    def game(component: type[Component], **settings: Any) -> Trial:
        from ganbench.testing.case import Case

        return Case(component, ganbench_catalogue, **settings).stepping

    return game


@pytest.fixture
def ganbench_check(ganbench_catalogue: Catalogue) -> Callable[..., list[Finding]]:
    """Checks a component and fails where a check fails: `ganbench_check(MyLoss, skip=["mappable"])`."""

    def checked(component: type[Component], **settings: Any) -> list[Finding]:
        from ganbench.testing import check

        __tracebackhide__ = True
        findings = check(component, ganbench_catalogue, **settings)
        failed = [str(finding) for finding in findings if not finding.ok]
        assert not failed, "\n".join(failed)
        return findings

    return checked
