"""The kit finds tensors that stay on the CPU, by a step on torch's device without numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import ganbench
from ganbench.plugins.discovery import Catalogue
from ganbench.testing import Case, Finding, checks_of
from ganbench.testing.toys import ToyGAN, ToyLoss

COLUMN, SQUARE = torch.ones(8, 1), torch.ones(8, 8, dtype=torch.float64)


def found(cls: type, catalogue: Catalogue) -> Finding:
    (check,) = (one for one in checks_of(cls.kind) if one.name == "keeps-nothing-on-the-cpu")
    return check(Case(cls, catalogue))


def loss(value: Callable[[Tensor], Tensor]) -> type[ganbench.Loss]:
    class Mine(ToyLoss):
        name = "mine"

        def generator(self, out):
            return value(out["fake_logits"])

    return Mine


WRONG = {
    "kept": (lambda x: (x * COLUMN).mean(), "it keeps a tensor on the CPU: one of shape (8, 1), met in mul"),
    "in a matrix product": (lambda x: (SQUARE @ x).mean(), "one of shape (8, 8), met in mm"),
    "made": (lambda x: (x + torch.ones(8, 1)).mean(), "one of shape (8, 1), met in add"),
    "an index": (lambda x: x[torch.arange(4)].mean(), "one of shape (4,), met in index"),
    "moved every step": (lambda x: (x * COLUMN.to(x.device)).mean(), "one of shape (8, 1), met in _to_copy"),
    "copied back": (lambda x: x.cpu().mean(), "it copies a tensor to the CPU, in _to_copy"),
}
RIGHT = {
    "a number": lambda x: -x.mean() * torch.tensor(2.0),
    "made where the batch is": lambda x: (x * x.new_full((8, 1), 2.0)).mean(),
    "an index there": lambda x: x[torch.arange(4, device=x.device)].mean(),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_losses(toys, name):
    value, seen = WRONG[name]
    finding = found(loss(value), toys)
    assert finding.outcome == "failed"
    assert seen in finding.seen
    assert "(test_kit_devices.py:" in finding.seen


@pytest.mark.parametrize("name", RIGHT)
def test_right_losses(toys, name):
    assert found(loss(RIGHT[name]), toys).outcome == "passed"


def test_a_loss_that_looks_at_numbers_is_not_tried(toys):
    finding = found(loss(lambda x: -x.mean() * (2 if x.mean() > 0 else 1)), toys)
    assert finding.outcome == "not tried"
    assert "see `mappable`" in finding.seen


class Scaling(nn.Module):
    """Multiplies by a tensor that it keeps as an attribute or as a buffer."""

    def __init__(self, *, buffer: bool) -> None:
        super().__init__()
        if buffer:
            self.register_buffer("scale", torch.ones(2))
        else:
            self.scale = torch.ones(2)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


@pytest.mark.parametrize(("buffer", "outcome"), [(False, "failed"), (True, "passed")])
def test_a_network_moves_its_buffers_alone(toys, buffer, outcome):
    class Mine(ToyGAN):
        name = "mine"

        def networks(self, spec):
            nets = super().networks(spec)
            return {**nets, "generator": nn.Sequential(nets["generator"], Scaling(buffer=buffer))}

    assert found(Mine, toys).outcome == outcome


def test_a_model_draws_its_samples_there_too(toys):
    class Mine(ToyGAN):
        name = "mine"

        def sample(self, nets, batch):
            return super().sample(nets, batch) + torch.zeros(2)

    assert "one of shape (2,), met in add" in found(Mine, toys).seen


@pytest.mark.parametrize(
    ("ones_like", "outcome"), [(lambda g: torch.ones(len(g)), "failed"), (torch.ones_like, "passed")]
)
def test_techniques(toys, ones_like, outcome):
    @dataclass(frozen=True)
    class Mine(ganbench.Technique):
        name = "mine"

        def field(self, inner):
            def scaled(turn, joint, buffers, batch):
                flow = inner(turn, joint, buffers, batch)
                return flow._replace(gradients={p: g * ones_like(g) for p, g in flow.gradients.items()})

            return scaled

    assert found(Mine, toys).outcome == outcome
