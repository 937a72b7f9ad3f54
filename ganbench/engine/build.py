"""A stack's trainer: as the plan has it, or the next best that works here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from ganbench.components.data import Data
from ganbench.engine.mappable import why_not_mappable
from ganbench.engine.program import Program
from ganbench.engine.trainers import Mapped, Runs, Trainer, is_out_of_memory, one_by_one
from ganbench.executors import executors_from
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import StackConfig
from ganbench.storage.stack_folder import StackFolder
from ganbench.text import first_line


@dataclass(frozen=True)
class TrainerBuilder:
    """Builds the trainer of one stack. What became of the plan goes into `config` and config.json."""

    folder: StackFolder
    config: StackConfig
    catalogue: Catalogue
    program: Program
    runs: Runs
    data: Data
    device: torch.device

    def build(self) -> Trainer:
        """The trainer, at step 0."""
        mapped = self._mapped() if self.config["engine"]["mapper"] == "map" else None
        return mapped or one_by_one(self.program, self.runs, self.data, self.device)

    def _mapped(self) -> Trainer | None:
        """The mapped trainer, prepared by the first executor that can; None where none can."""
        # The runs of a stack differ in seeds and swept values only: one variant stands for all.
        variant, values = self.config["variants"][0], self.config["values"]
        reason = why_not_mappable(variant, values, self.catalogue, self.data)
        # Recorded, so that a report can say why a stack was trained more slowly than planned.
        if reason:
            self._record("loop", "eager", reason)
            return None
        failed: list[str] = []
        for name in executors_from(self.config["engine"]["executor"], self.device.type):
            executor = self.catalogue.get("executor", name).cls()
            trainer = Mapped(self.program, self.runs, self.data, self.device, executor)
            try:
                trainer.load_chunk()  # prepares the step: compiles or captures it
            except Exception as error:
                if is_out_of_memory(error):  # no fault of the executor: the session halves the stack
                    raise
                failed.append(f"the executor {name} failed: {first_line(error)}")
            else:
                if failed:
                    self._record("map", name, "; ".join(failed))
                return trainer
        self._record("loop", "eager", "; ".join(failed))
        return None

    def _record(self, mapper: Literal["map", "loop"], executor: str, reason: str) -> None:
        self.config["engine"].update({"mapper": mapper, "executor": executor, "why": reason})
        self.folder.write_config(self.config)
