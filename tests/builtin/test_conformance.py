"""Every installed component passes the checks that are asked of anybody's."""

from __future__ import annotations

import dataclasses

import pytest
from test_stacks import SMALL

from ganbench.components.kinds import KINDS
from ganbench.plugins.discovery import discover
from ganbench.testing import Case, checks_of
from ganbench.testing.run import quietly
from ganbench.testing.untouched import offline

CATALOGUE = discover()
SLOW = {
    "classifier": "trains a network",
    "wgan": "five turns of convolutions a step",
    "sngan": "residual networks",
    "gaugan": "several networks",
    "cyclegan": "four networks",
    "pacgan-net": "wide networks",
    "acgan": "convolutions",
    "cycle-error": "trains a CycleGAN's full networks",
    "stacked-modes": "trains a network",
    "duality-gap": "trains a worst case",
    "mlflow": "starts a database",
    "compiled": "compiles",
    "wandb": "starts a service",
}
"""Name -> why checking it takes more than a second."""
OPTIONS = SMALL | {"wandb": {"mode": "offline"}}
VAE = {"model": "mlp-vae", "options": {"mlp-vae": {"hidden": [8], "latent": 2}}}
VARIANTS = {"label-smoothing": {"loss": "non-saturating"}}
"""Component -> what it is tried with."""
EXCEPT: dict[str, tuple[str, ...]] = {}
"""Component -> checks that it is known not to pass."""
COMPONENTS = [
    pytest.param(registered.cls, id=f"{kind} {name}", marks=[pytest.mark.slow] if name in SLOW else [])
    for kind, known in CATALOGUE.components.items()
    for name, registered in sorted(known.items())
]


def reads_codes(cls):
    """Whether it is tried with a VAE: the smallest, for the kit takes the first that it finds."""
    return getattr(cls, "family", "") == "variational" or cls.name in ("kl-annealing", "cyclical-annealing")


@pytest.mark.parametrize("cls", COMPONENTS)
def test_conforms(cls):
    known = {field.name for field in dataclasses.fields(cls)}
    options = {name: value for name, value in OPTIONS.get(cls.name, {}).items() if name in known}
    case = Case(cls, CATALOGUE, options, variant=VARIANTS.get(cls.name) or (VAE if reads_codes(cls) else {}))
    with offline():
        findings = [
            quietly(one, case) for one in checks_of(cls.kind) if one.name not in EXCEPT.get(cls.name, ())
        ]
    wrong = [str(finding) for finding in findings if finding.outcome in ("failed", "remark")]
    assert not wrong, "\n".join(wrong)
    assert any(finding.outcome == "passed" for finding in findings)


def test_what_is_slow_is_there():
    names = {name for known in CATALOGUE.components.values() for name in known}
    assert SLOW.keys() <= names
    assert EXCEPT.keys() <= names
    assert CATALOGUE.components.keys() == KINDS.keys()
