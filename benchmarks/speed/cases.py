"""What is measured: the same variants for the engine and for the hand-written loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ganbench.components.data import Data
from ganbench.engine.program import Program
from ganbench.game.draws import stream
from ganbench.plugins.discovery import Catalogue

ADAM = {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]}
COUNTS = (1, 4, 16, 64)
"""Runs trained together."""


@dataclass(frozen=True)
class Case:
    """One variant.

    Arguments:
        name: how `--cases` calls it.
        model: the model and its options.
        batch: samples a batch.
        r1: R1's weight, 0 for none.
        convolutional: whether it trains on images, which a CPU takes one by one.
        target: the least speed-up that is aimed at on one CPU thread, at 16 runs (at 1 run where
            `convolutional`).
        probe_runs: stack size at which the probes' cost is taken on a CPU.
        probe_limit: the most that the probes may cost there, as a fraction.
        image: channels, height and width, where `convolutional`.
    """

    name: str
    model: dict[str, Any]
    batch: int
    r1: float
    convolutional: bool
    target: float
    probe_runs: int
    probe_limit: float
    image: tuple[int, int, int] = (1, 28, 28)

    def config(self, precision: str = "float32") -> dict[str, Any]:
        """The resolved variant."""
        return {
            "dataset": {"name": "ring", "options": {}},
            "model": self.model,
            "loss": {"name": "non-saturating", "options": {}},
            "techniques": [{"name": "r1", "options": {"gamma": self.r1}}] if self.r1 else [],
            "optimizer": {"generator": ADAM, "discriminator": ADAM},
            "batch": self.batch,
            "steps": 5000,
            "precision": precision,
        }

    def data(self, catalogue: Catalogue, device: torch.device) -> Data:
        """The ring's points, or bytes at random in the place of images."""
        if self.convolutional:
            bytes_ = torch.randint(
                256, (2000, *self.image), dtype=torch.uint8, generator=stream("cpu", 0, "speed", "images")
            ).to(device)
            return Data(bytes_, bytes_[:1])
        dataset: Any = catalogue.get("dataset", "ring").cls()
        points: Data = dataset.load(None)
        return Data(points.train.to(device), points.test.to(device))

    def program(self, catalogue: Catalogue, data: Data, precision: str = "float32") -> Program:
        """The engine's form of it."""
        return Program(self.config(precision), catalogue, data)

    def counts(self, device: torch.device) -> tuple[int, ...]:
        """The numbers of runs to measure on that device."""
        return (1, 4) if self.convolutional and device.type == "cpu" else COUNTS


def _mlp(width: int, batch: int, r1: float, target: float, probe_runs: int, probe_limit: float) -> Case:
    model = {"name": "mlp-gan", "options": {"hidden": [width, width], "latent": 2}}
    name = f"mlp-2x{width}" + ("-r1" if r1 else "")
    return Case(name, model, batch, r1, False, target, probe_runs, probe_limit)


CASES = {
    case.name: case
    for case in (
        _mlp(32, 64, 0.0, 10, 16, 0.10),
        _mlp(32, 64, 1.0, 10, 16, 0.10),
        _mlp(128, 256, 0.0, 1.5, 4, 0.05),
        _mlp(128, 256, 1.0, 1.5, 4, 0.05),
        Case("dcgan-28", {"name": "dcgan", "options": {}}, 64, 0.0, True, 0.9, 1, 0.05),
    )
}
