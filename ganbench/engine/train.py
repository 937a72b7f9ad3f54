"""Training one stack, from its folder's config.json to its rows; resumable wherever it is interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ganbench.engine.checkpoint import from_arrays, to_arrays
from ganbench.engine.data import Sources, on_device
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.mappable import why_not_mappable
from ganbench.engine.program import Program
from ganbench.engine.trainers import Mapped, Runs, Trainer, is_out_of_memory, one_by_one
from ganbench.errors import BadInput
from ganbench.executors import executors_from
from ganbench.game.draws import CHUNK
from ganbench.game.probes import LOGIT_PROBES, PLAYER_PROBES
from ganbench.judging.outcomes import Verdict
from ganbench.judging.run_rows import STOPPED, hopeless, run_rows
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.environment import environment
from ganbench.storage.stack_folder import StackFolder

Event = dict[str, Any]

Tell = Callable[[Event], None]

CHECKPOINT_SECONDS = 20.0
"""Time between checkpoints."""

TELL_SECONDS = 0.2
"""Time between reports of progress."""

SHEETS = 8
"""Sample sheets of a run at most."""

FLUSH_STEPS = 2048
"""Steps whose probes are held in memory at most."""


@dataclass
class StackTraining:
    """One stack in training.

    Arguments:
        folder: where its config is and its rows go.
        tell: receives events: started, progress, evaluated, finished.
        stop: asked after every chunk; when true, the stack is left resumable.
    """

    folder: StackFolder
    catalogue: Catalogue
    sources: Sources
    tell: Tell
    stop: Callable[[], bool]

    def run(self) -> None:
        """Train to the end or until stopped. Raises whatever a component raises."""
        config = self.folder.config()
        self.folder.clear_leftovers()
        if config.pop(STOPPED, None):  # of a try that was killed at its very end
            self.folder.write_config(config)
        self._steps: int = config["variants"][0]["steps"]
        self._every: int = config["variants"][0]["evaluate"]["every"]
        self._config = config
        self._died: list[int] = [0] * len(config["seeds"])
        self._stopped: dict[str, Verdict] = {}
        self._flushed, self._probes, self._evals = 0, list[Tensor](), list[Any]()
        self._seconds, self._since = 0.0, time.monotonic()
        self._evaluating, self._sheets = 0.0, set(_sheet_steps(self._steps, self._every))
        device = torch.device(config["engine"]["device"])
        self._data = on_device(self.sources.load(config["variants"][0]["dataset"]), device)
        self._trainer, self._evaluator = self._built(config, device)
        self._resume()
        self._begin()
        if self._train():
            self._finish()

    # -- beginning

    def _built(self, config: Mapping[str, Any], device: torch.device) -> tuple[Trainer, Evaluator]:
        variant, engine = config["variants"][0], config["engine"]
        program = Program(variant, self.catalogue, self._data)
        runs = Runs(tuple(config["seeds"]), tuple(config["values"]))
        evaluator = Evaluator(variant["evaluate"], self.catalogue, program, runs, self._data)
        if engine["chunk"] != CHUNK:
            begun = engine["chunk"]
            raise BadInput(f"this stack was begun with chunks of {begun} steps, not {CHUNK}: train it anew")
        trainer = self._mapped(program, runs, device) if engine["mapper"] == "map" else None
        return trainer or one_by_one(program, runs, self._data, device), evaluator

    def _mapped(self, program: Program, runs: Runs, device: torch.device) -> Trainer | None:
        """The mapped trainer, prepared by the first executor that can; None where none can.

        What became of the plan is put on record, with the reason.
        """
        config, engine = self._config, self._config["engine"]
        reason = why_not_mappable(config["variants"][0], config["values"], self.catalogue, self._data)
        if reason:
            self._record("loop", "eager", reason)
            return None
        failed: list[str] = []
        for name in executors_from(engine["executor"], device.type):
            executor: Any = self.catalogue.get("executor", name).cls()
            trainer = Mapped(program, runs, self._data, device, executor)
            try:
                trainer.load_chunk()
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                failed.append(f"the executor {name} failed: {str(error).strip().partition(chr(10))[0]}")
            else:
                if failed:
                    self._record("map", name, "; ".join(failed))
                return trainer
        self._record("loop", "eager", "; ".join(failed))
        return None

    def _record(self, mapper: Literal["map", "loop"], executor: str, reason: str) -> None:
        self._config["engine"] |= {"mapper": mapper, "executor": executor, "why": reason}
        self.folder.write_config(self._config)

    def _begin(self) -> None:
        self.folder.write_env(environment(self._trainer.device))
        self._write_status("training")
        self.tell({"event": "started", "step": self._trainer.step, "steps": self._steps})

    def _resume(self) -> None:
        kept = self.folder.checkpoint()
        step = kept[1]["step"] if kept else 0
        self.folder.drop_traces_after(step)
        self.folder.drop_evals_after(step)
        if kept:
            tensors, meta = kept
            self._trainer.restore(from_arrays(self._trainer.state(), tensors), step)
            self._died, self._seconds, self._flushed = meta["died"], meta["seconds"], step
            self._stopped = {run: Verdict.read(verdict) for run, verdict in meta.get(STOPPED, {}).items()}
            self._evaluating = meta["evaluating"]
            self._evals = [
                {str(k): v for k, v in row.items()} for row in self.folder.evals().to_dict("records")
            ]

    # -- the loop

    def _train(self) -> bool:
        """Advance to the end. False if stopped on the way."""
        if self._trainer.step == 0:
            self._evaluate()
        saved = told = time.monotonic()
        while self._trainer.step < self._steps and not all(self._died):
            self._advance()
            now = time.monotonic()
            if now - told > TELL_SECONDS:
                told = now
                self._tell_progress()
            if self.stop():
                self._checkpoint()
                return False
            if now - saved > CHECKPOINT_SECONDS:
                saved = now
                self._checkpoint()
            elif self._trainer.step - self._flushed >= FLUSH_STEPS:
                self._flush()
        return True

    def _advance(self) -> None:
        """To the end of the chunk, or to the next evaluation or the last step if that is nearer."""
        trainer, step = self._trainer, self._trainer.step
        ends = (step - step % CHUNK + CHUNK, step - step % self._every + self._every, self._steps)
        self._probes.append(trainer.advance(min(ends) - step))
        self._died = trainer.died()  # the one look at the device
        if trainer.step % self._every == 0 or trainer.step == self._steps:
            self._evaluate()
            if self._config["verdict"].get("stop") and trainer.step < self._steps:
                self._stop_hopeless()

    def _stop_hopeless(self) -> None:
        """Freeze the runs that have failed for good, as if they had died; the others are not touched.

        What is decided depends on rows alone, and only at evaluations: it is the same after a resume.
        """
        begun = time.monotonic()
        self._flush()
        alive = [run for run, died in enumerate(self._died) if not died]
        found = hopeless(self._config, self.folder.traces(), self._evals, alive)
        if found:
            state, step = self._trainer.state(), self._trainer.step
            died = state.died.clone()
            died[list(found)] = step
            self._trainer.restore(state._replace(died=died), step)
            self._died = self._trainer.died()
            self._stopped |= {str(run): verdict for run, verdict in found.items()}
        self._evaluating += time.monotonic() - begun

    def _evaluate(self) -> None:
        begun = time.monotonic()
        alive = [run for run, died in enumerate(self._died) if not died]
        state, step = self._trainer.state(), self._trainer.step
        rows = self._evaluator.measure(state, step, alive)
        self._evals += rows
        for run in alive if step in self._sheets else ():
            picture = self._evaluator.sheet(state, run)
            if picture:
                self.folder.write_sheet(run, step, picture)
        self._evaluating += time.monotonic() - begun
        labels, seeds = self._config["labels"], self._config["seeds"]
        named = [row | {"variant": labels[row["run"]], "seed": seeds[row["run"]]} for row in rows]
        self.tell({"event": "evaluated", "step": self._trainer.step, "rows": named})

    def _tell_progress(self) -> None:
        told = {"step": self._trainer.step, "steps": self._steps, "failed": sum(map(bool, self._died))}
        self.tell({"event": "progress", **told, "died": list(self._died)})

    # -- on disk

    def _flush(self) -> None:
        if self._probes:
            first, probes = self._flushed + 1, torch.cat(self._probes)
            columns = trace_columns(probes.numpy(), first, self._trainer.program.columns, self._died)
            self.folder.write_traces(first, self._trainer.step, columns)
            self._probes, self._flushed = [], self._trainer.step

    def _checkpoint(self) -> None:
        self._flush()
        self.folder.write_evals(self._evals)
        meta = {"step": self._trainer.step, "died": self._died}
        meta |= {"seconds": self._elapsed(), "evaluating": self._evaluating, STOPPED: self._stopped}
        self.folder.write_checkpoint(to_arrays(self._trainer.state()), meta)
        self._write_status("training")

    def _finish(self) -> None:
        self._flush()
        self.folder.write_evals(self._evals)
        seconds = (self._elapsed() - self._evaluating, self._evaluating)
        if self._stopped:
            self._config |= {STOPPED: {run: list(verdict) for run, verdict in self._stopped.items()}}
            self.folder.write_config(self._config)
        rows = run_rows(self.folder, self._config, self._died, seconds)
        self.folder.write_runs(rows)
        self._write_status("finished")
        self.folder.drop_checkpoint()
        self.tell({"event": "finished", "rows": rows})

    def _write_status(self, state: str) -> None:
        self.folder.write_status({"state": state, "step": self._trainer.step, "steps": self._steps})

    def _elapsed(self) -> float:
        """Seconds so far, of training and evaluating, those before an interruption included."""
        return self._seconds + time.monotonic() - self._since


def _sheet_steps(steps: int, every: int) -> list[int]:
    """The evaluations at which samples are drawn: the first, the last, and what is even between."""
    evaluated = sorted({*range(0, steps + 1, every), steps})
    places = np.linspace(0, len(evaluated) - 1, min(SHEETS, len(evaluated)))
    return [evaluated[round(place)] for place in places]


def trace_columns(
    probes: np.ndarray, first: int, columns: list[tuple[str, str]], died: list[int]
) -> dict[str, np.ndarray]:
    """Rows (run, step, player) of a block of probes, steps x runs x columns; none after a run's death."""
    steps, runs, _ = probes.shape
    at = {column: index for index, column in enumerate(columns)}
    step, run = (
        grid.ravel() for grid in np.meshgrid(np.arange(first, first + steps), np.arange(runs), indexing="ij")
    )
    end = np.array([d or np.iinfo(np.int64).max for d in died])
    keep = step <= end[run]
    parts: list[dict[str, np.ndarray]] = []
    for player in dict.fromkeys(player for player, _ in columns):
        part = {"run": run[keep].astype(np.int32), "step": step[keep]}
        part["player"] = np.full(int(keep.sum()), player)
        for name in dict.fromkeys([*PLAYER_PROBES, *LOGIT_PROBES, *(probe for _, probe in columns)]):
            index = at.get((player, name))
            values = np.full(steps * runs, np.nan) if index is None else probes[:, :, index].ravel()
            part[name] = values[keep].astype(np.float32)
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
