"""The small games on which a machine is tried, and their trainers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import torch

from ganbench.components.data import Data
from ganbench.engine.data import Sources, on_device
from ganbench.engine.program import Program
from ganbench.engine.trainers import Mapped, Runs, Trainer, one_by_one
from ganbench.plugins.discovery import Catalogue, discover
from ganbench.storage.records import VariantConfig
from ganbench.suites.load import load_suite

LOOP = "loop"
"""The way without an executor: one run after another."""


class Name(StrEnum):
    """The games, in the order of games.toml."""

    R1 = "mlp-gan, r1"
    CONSENSUS = "mlp-gan, consensus"
    PENALTY = "mlp-gan, wgan-gp"
    VAE = "mlp-vae"
    DCGAN = "dcgan"
    AUGMENTED = "dcgan, diff-augment"
    POOL = "cyclegan, image pool"


@dataclass(frozen=True)
class Game:
    """One game on a device ("cpu" or "cuda")."""

    name: Name
    device: str
    precision: str = "float32"

    @cached_property
    def catalogue(self) -> Catalogue:
        """What is installed."""
        return discover()

    @cached_property
    def variant(self) -> VariantConfig:
        """The resolved variant."""
        precision = f'defaults.precision="{self.precision}"'
        suite = load_suite(Path(__file__).with_name("games.toml"), self.catalogue, overrides=[precision])
        return dict(zip(Name, suite.variants, strict=True))[self.name].config

    @cached_property
    def data(self) -> Data:
        """Its data set, on the device."""
        data = Sources(self.catalogue).load(self.variant["dataset"])
        return on_device(data, torch.device(self.device))

    @cached_property
    def program(self) -> Program:
        """Its program."""
        return Program(self.variant, self.catalogue, self.data)

    def trainer(self, way: str, runs: int) -> Trainer:
        """A trainer of that many seeds, by an executor or one run after another."""
        stack, device = seeds(runs), torch.device(self.device)
        if way == LOOP:
            return one_by_one(self.program, stack, self.data, device)
        executor = self.catalogue.get("executor", way).cls()
        return Mapped(self.program, stack, self.data, device, executor)


def seeds(runs: int) -> Runs:
    """The first seeds, nothing swept."""
    return Runs(tuple(range(runs)), ({},) * runs)
