"""The training loop of one stack, from its folder's config.json to its rows; resumable wherever it stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Literal

import torch

from ganbench.engine.build import Builder, Way
from ganbench.engine.checkpoint import Progress, resume, save_checkpoint
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.gpu_arithmetic import gpu_arithmetic
from ganbench.engine.observer import Observer
from ganbench.engine.sheets import sheet_steps
from ganbench.engine.traces import TraceWriter
from ganbench.engine.trainers import Runs, Trainer
from ganbench.game.draws import CHUNK
from ganbench.game.step import State
from ganbench.judging.run_rows import hopeless, run_rows
from ganbench.machine.gpus import Gpu
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.environment import environment
from ganbench.storage.records import ObservedRow, StackConfig, way_of
from ganbench.storage.stack_folder import StackFolder

# By time, not by steps: a kill costs the same seconds of work for any model.
CHECKPOINT_SECONDS = 20.0
"""Time between checkpoints."""

PROGRESS_SECONDS = 0.2
"""Time between reports of progress."""

FLUSH_STEPS = 2048
"""Steps whose probes are held in memory at most."""


def train_stack(
    folder: StackFolder,
    catalogue: Catalogue,
    builder: Builder,
    observer: Observer,
    stop: Callable[[], bool],
    gpu: Gpu | None = None,
) -> bool:
    """Train the stack in `folder`, from its checkpoint where it has one. False where `stop` ended it early.

    Raises whatever a component raises.

    Arguments:
        builder: keeps what it prepared, for the next stack.
        stop: asked after every chunk; when true, the stack is left resumable.
        gpu: the one that trains, None on a CPU.
    """
    began = time.monotonic()
    config = folder.config()
    folder.clear_leftovers()
    if config.pop("stopped", None):  # of a try that was killed after its last step, before its rows
        folder.write_config(config)
    variant, device = config["variants"][0], torch.device(config["engine"]["device"])
    with gpu_arithmetic(device, variant.get("tf32", False)) as nondeterministic:
        structure = builder.structure(config)
        nondeterministic |= structure.nondeterministic
        program, runs = structure.program, Runs(tuple(config["seeds"]), tuple(config["values"]))
        threads = config["engine"]["threads"]
        evaluator = Evaluator(variant["evaluate"], catalogue, program, runs, structure.data, threads)
        trainer = builder.trainer(structure, runs, config["engine"])
        _record(folder, config, structure.way)
        progress = resume(folder, trainer, began)
        folder.write_env(environment(device, gpu))
        traces = TraceWriter(folder, program.columns, flushed=trainer.step)
        sheets = frozenset(sheet_steps(variant["steps"], variant["evaluate"]["every"]))
        training = StackTraining(
            folder, config, trainer, evaluator, progress, traces, sheets, observer, stop, nondeterministic
        )
        finished = training.run()
        structure.nondeterministic |= nondeterministic
        return finished


def _record(folder: StackFolder, config: StackConfig, way: Way | None) -> None:
    """Say in config.json how the stack is trained where that is not as planned."""
    engine = config["engine"]
    if way and way.why and way.why != engine.get("why"):
        engine.setdefault("planned", way_of(engine))  # a resumed stack keeps its first plan
        engine.update({"mapper": way.mapper, "executor": way.executor, "why": way.why})
        folder.write_config(config)


@dataclass(frozen=True)
class StackTraining:
    """One stack, ready to go on from wherever it is.

    Arguments:
        sheet_steps: the evaluations at which sample sheets are drawn.
        stop: asked after every chunk; when true, the stack is left resumable.
        nondeterministic: operations without a deterministic algorithm, as they are met.
    """

    folder: StackFolder
    config: StackConfig
    trainer: Trainer
    evaluator: Evaluator
    progress: Progress
    traces: TraceWriter
    sheet_steps: frozenset[int]
    observer: Observer
    stop: Callable[[], bool]
    nondeterministic: Set[str] = frozenset()

    @property
    def _steps(self) -> int:
        return self.config["variants"][0]["steps"]

    @property
    def _every(self) -> int:
        return self.config["variants"][0]["evaluate"]["every"]

    def run(self) -> bool:
        """Train to the last step and judge. False where `stop` ended it before."""
        self._write_status("training")
        self.observer.started(self.trainer.step, self._steps)
        finished = self._train()
        if finished:
            self._finish()
        return finished

    def _train(self) -> bool:
        if self.trainer.step == 0:
            self._evaluate()
        saved = reported = time.monotonic()
        while self.trainer.step < self._steps and not all(self.progress.died):
            self._advance()
            now = time.monotonic()
            if now - reported > PROGRESS_SECONDS:
                reported = now
                self.observer.progress(self.trainer.step, self._steps, list(self.progress.died))
            if self.stop():
                self._checkpoint()
                return False
            if now - saved > CHECKPOINT_SECONDS:
                saved = now
                self._checkpoint()
            # `elif`, because a checkpoint flushes, too.
            elif self.trainer.step - self.traces.flushed >= FLUSH_STEPS:
                self._flush()
        return True

    def _advance(self) -> None:
        """Train until the chunk ends, the next evaluation or the last step, whichever comes first."""
        trainer, progress, step = self.trainer, self.progress, self.trainer.step
        ends = (step - step % CHUNK + CHUNK, step - step % self._every + self._every, self._steps)
        self.traces.add(trainer.advance(min(ends) - step))
        progress.died = trainer.died()  # the one look at the device
        # Evaluate within the step that is due, before any checkpoint of it: a resume goes on after that step,
        # and would leave its evaluation out. Stop hopeless runs after it, for it shows which are.
        if trainer.step % self._every == 0 or trainer.step == self._steps:
            self._evaluate()
            if self.config["verdict"].get("stop") and trainer.step < self._steps:
                self._stop_hopeless()

    def _stop_hopeless(self) -> None:
        """Freeze the runs that have failed for good, as if they had died; the others are not touched.

        The decision depends on rows alone, and comes only at evaluations: it is the same after a resume.
        """
        begun, progress = time.monotonic(), self.progress
        self._flush()
        failed = hopeless(self.config, self.folder.traces(), progress.evaluations, progress.alive)
        if failed:
            state, step = self.trainer.state(), self.trainer.step
            died = state.died.clone()
            died[list(failed)] = step
            self.trainer.restore(state._replace(died=died), step)
            progress.died = self.trainer.died()
            progress.stopped |= {str(run): verdict for run, verdict in failed.items()}
        progress.evaluating += time.monotonic() - begun

    def _evaluate(self) -> None:
        begun, progress = time.monotonic(), self.progress
        state, step = self.trainer.state(), self.trainer.step
        rows = self.evaluator.measure(state, step, progress.alive)
        progress.evaluations += rows
        if step in self.sheet_steps:
            self._write_sheets(state, step)
        progress.evaluating += time.monotonic() - begun
        labels, seeds = self.config["labels"], self.config["seeds"]
        observed: list[ObservedRow] = [
            {**row, "variant": labels[row["run"]], "seed": seeds[row["run"]]} for row in rows
        ]
        self.observer.evaluated(step, observed)

    def _write_sheets(self, state: State, step: int) -> None:
        for run in self.progress.alive:
            picture = self.evaluator.sheet(state, run)
            if picture:
                self.folder.write_sheet(run, step, picture)
        if step == 0 and (real := self.evaluator.real_sheet()):
            self.folder.write_real_sheet(real)

    def _flush(self) -> None:
        self.traces.flush(self.trainer.step, self.progress.died)

    def _checkpoint(self) -> None:
        # Traces first, the status last: whatever a kill leaves, the checkpoint finds all rows up to its step.
        self._flush()
        save_checkpoint(self.folder, self.trainer, self.progress)
        self._write_status("training")

    def _finish(self) -> None:
        """Judge the runs and write their rows."""
        progress = self.progress
        self._flush()
        self.folder.write_evals(progress.evaluations)
        seconds = (progress.seconds - progress.evaluating, progress.evaluating)
        if progress.stopped:
            self.config["stopped"] = {run: list(verdict) for run, verdict in progress.stopped.items()}
        if self.nondeterministic:
            self.config["engine"]["nondeterministic"] = sorted(self.nondeterministic)
        self.folder.write_config(self.config)
        rows = run_rows(self.folder, self.config, progress.died, seconds)
        self.folder.write_runs(rows)
        self._write_status("finished")
        self.folder.drop_checkpoint()  # last: until the rows are there, a kill resumes from it
        self.observer.finished(rows)

    def _write_status(self, state: Literal["training", "finished"]) -> None:
        self.folder.write_status({"state": state, "step": self.trainer.step, "steps": self._steps})
