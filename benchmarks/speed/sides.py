"""The two sides of a comparison, made from one case."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from benchmarks.speed.bare import Bare
from benchmarks.speed.cases import Case
from benchmarks.speed.loop import HandWritten
from ganbench.components.data import Data
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs, Trainer
from ganbench.game.draws import CHUNK, isolated_rng
from ganbench.planning import cost
from ganbench.plugins.discovery import Catalogue


@dataclass
class Bench:
    """A case on a device: the data, the program, and ways to make either side.

    Arguments:
        compiled: False runs mapped steps eagerly, which is slow, but has nothing to wait for.
    """

    case: Case
    catalogue: Catalogue
    device: torch.device
    precision: str = "float32"
    compiled: bool = True
    data: Data = field(init=False)
    program: Program = field(init=False)

    def __post_init__(self) -> None:
        self.data = self.case.data(self.catalogue, self.device)
        self.program = self.case.program(self.catalogue, self.data, self.precision)

    @property
    def mapper(self) -> str:
        """How the engine trains several runs of this case here: convolutions on a CPU one by one."""
        return "loop" if self.case.convolutional and self.device.type == "cpu" else "vmap"

    @property
    def executor(self) -> str:
        """Name of the executor of mapped steps."""
        if not self.compiled:
            return "eager"
        return "cuda-graph" if self.device.type == "cuda" else "compiled"

    def engine(self, runs: int, mapper: str = "", probes: bool = True) -> Trainer:
        """The engine's trainer of that many runs. Nothing is compiled before its first step."""
        program = self.program if probes else Bare(self.program_config, self.catalogue, self.data)
        stack = Runs(tuple(range(runs)), ({},) * runs)
        if (mapper or self.mapper) == "loop":
            return Looped(program, stack, self.data, self.device)
        executor: Any = self.catalogue.get("executor", self.executor).cls()
        return Mapped(program, stack, self.data, self.device, executor)

    def hand_written(self, seed: int = 0, capturable: bool = False) -> HandWritten:
        """The other side, from the initial weights of the engine's run of that seed."""
        latent: int = self.program.draws()["noise"].shape[1]
        data, batch = self.data.train, self.case.batch
        return HandWritten(self.fresh(seed), data, batch, latent, self.case.r1, seed, capturable)

    def fresh(self, seed: int) -> dict[str, nn.Module]:
        """Plain torch modules with the initial weights of a run."""
        with isolated_rng(seed, "init"):
            nets = self.program.model.networks(self.data.spec)
        return {name: net.to(self.device, self.program.dtype) for name, net in nets.items()}

    @property
    def program_config(self) -> dict[str, Any]:
        """The resolved variant."""
        return self.case.config(self.precision)

    def cost(self) -> cost.Cost:
        """The engine's own prediction."""
        on_cpu = self.case.data(self.catalogue, torch.device("cpu"))
        return cost.measure(self.case.program(self.catalogue, on_cpu), {}, on_cpu)


def first_step(trainer: Trainer) -> float:
    """Seconds of a trainer's first step: tracing, compiling and capturing, practically alone."""
    begin = time.perf_counter()
    advance(trainer, 1)
    return time.perf_counter() - begin


def advance(trainer: Trainer, steps: int) -> None:
    """Take `steps` steps, chunk by chunk. Ends in a copy to the host, so the device is done by then."""
    while steps:
        taken = min(steps, CHUNK - trainer.step % CHUNK)
        trainer.advance(taken)
        steps -= taken
