"""Trainers of stacks: as the plan has it, or the next best that works here; prepared once a structure."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from typing import Literal

import torch

from ganbench.components.data import Data
from ganbench.engine.data import Sources, on_device
from ganbench.engine.mappable import why_not_mappable
from ganbench.engine.program import Program
from ganbench.engine.trainers import Mapped, Runs, Trainer, is_out_of_memory, one_by_one
from ganbench.executors import executors_from
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import EngineRecord, StackConfig, VariantConfig
from ganbench.suites.load import program_key
from ganbench.text import first_line


@dataclass(frozen=True)
class Way:
    """How a structure is trained here, and why not as planned: "" where it is."""

    mapper: Literal["map", "loop"]
    executor: str
    why: str


@dataclass
class Structure:
    """What stacks share that differ in seeds and swept values alone.

    Arguments:
        key: equal for equal structures, in one process.
        data: on the device.
        way: None until the first stack has found it.
        mapped: its trainer, which serves one stack after another; None where runs are trained one by one.
        nondeterministic: operations without a deterministic algorithm that its stacks have met. A prepared
            step is replayed, and warns no more.
    """

    key: str
    variant: VariantConfig
    program: Program
    data: Data
    device: torch.device
    way: Way | None = None
    mapped: Mapped | None = None
    nondeterministic: set[str] = field(default_factory=set)


class Builder:
    """Builds the trainers of one stack after another, and keeps what the last one was trained with.

    Preparing a structure - moving its data, checking that it can be mapped, compiling or capturing its step -
    takes longer than many stacks train. Only the last structure is kept: a GPU's memory holds one.
    """

    def __init__(self, catalogue: Catalogue, sources: Sources) -> None:
        self._catalogue, self._sources = catalogue, sources
        self._last: Structure | None = None

    def structure(self, config: StackConfig) -> Structure:
        """The structure of a stack, with its program and data."""
        engine, variant = config["engine"], config["variants"][0]
        key = program_key(config)
        if self._last is None or self._last.key != key:
            self.forget()  # first, so that its memory is free
            device = torch.device(engine["device"])
            data = on_device(self._sources.load(variant["dataset"]), device)
            self._last = Structure(key, variant, Program(variant, self._catalogue, data), data, device)
        return self._last

    def trainer(self, structure: Structure, runs: Runs, planned: EngineRecord) -> Trainer:
        """The trainer of these runs, at step 0. `structure.way` then says which it is."""
        if structure.mapped:
            structure.mapped.restart(runs)
            return structure.mapped
        if structure.way is None and planned["mapper"] == "map":
            trainer = self._mapped(structure, runs, planned)
            if trainer:
                return trainer
        structure.way = structure.way or Way("loop", "eager", "")
        return one_by_one(structure.program, runs, structure.data, structure.device)

    def forget(self) -> None:
        """Keep nothing: what was prepared may be what failed, and holds memory, captured graphs included."""
        on_gpu = self._last is not None and self._last.device.type == "cuda"
        self._last = None
        if on_gpu:
            gc.collect()  # trainers lie in reference cycles
            torch.cuda.empty_cache()

    def _mapped(self, structure: Structure, runs: Runs, planned: EngineRecord) -> Trainer | None:
        """The mapped trainer, prepared by the first executor that can; None where none can."""
        reason = why_not_mappable(structure.variant, runs.values, self._catalogue, structure.data)
        if reason:
            structure.way = Way("loop", "eager", reason)
            return None
        failed = [planned["why"]] if "why" in planned else []
        for name in executors_from(planned["executor"], structure.device.type):
            prepared = self._prepared(name, structure, runs)
            if isinstance(prepared, Mapped):
                structure.way, structure.mapped = Way("map", name, "; ".join(failed)), prepared
                return prepared
            failed.append(prepared)
        structure.way = Way("loop", "eager", "; ".join(failed))
        return None

    def _prepared(self, name: str, structure: Structure, runs: Runs) -> Mapped | str:
        """The mapped trainer, prepared by the executor of that name; a sentence where it failed."""
        if structure.device.type == "cuda":
            gc.collect()  # trainers of the check, or of an executor that failed, lie in reference cycles
        executor = self._catalogue.get("executor", name).cls()
        trainer = Mapped(structure.program, runs, structure.data, structure.device, executor)
        try:
            trainer.load_chunk()  # prepares the step: compiles or captures it
        except Exception as error:
            if is_out_of_memory(error):  # no fault of the executor: the session halves the stack
                raise
            return f"the executor {name} failed: {first_line(error)}"
        return trainer
