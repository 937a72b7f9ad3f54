"""How far a stack is, saved to its checkpoint and read back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ganbench.engine.trainers import Trainer
from ganbench.game.step import State
from ganbench.judging.outcomes import Verdict
from ganbench.storage.records import CheckpointMeta, EvaluationRow
from ganbench.storage.stack_folder import StackFolder


@dataclass
class Progress:
    """How far a stack is, beside its step and the state of its networks, which the trainer has.

    Arguments:
        died: an entry a run: the step at which it was frozen, 0 while it trains.
        began: this process's clock (`time.monotonic`) when it took the stack up.
        evaluations: all rows so far.
        stopped: verdicts of runs that were stopped as hopeless, by index (text, as in JSON).
        evaluating: seconds spent on evaluations.
        earlier: seconds of all kinds spent by processes that were interrupted.
    """

    died: list[int]
    began: float
    evaluations: list[EvaluationRow] = field(default_factory=list)
    stopped: dict[str, Verdict] = field(default_factory=dict)
    evaluating: float = 0.0
    earlier: float = 0.0

    @property
    def alive(self) -> list[int]:
        """Indices of the runs that train."""
        return [run for run, died in enumerate(self.died) if not died]

    @property
    def seconds(self) -> float:
        """Seconds so far, of training and evaluating, those before an interruption included."""
        # A monotonic clock: the wall clock may be set while a stack trains.
        return self.earlier + time.monotonic() - self.began


def save_checkpoint(folder: StackFolder, trainer: Trainer, progress: Progress) -> None:
    """Write rows of evaluations and a checkpoint. The traces up to this step must be on disk already."""
    # Rows first: a kill in between leaves rows beyond the checkpoint, which `resume` drops and training makes
    # again. The other way round, it would leave a gap that nothing fills.
    folder.write_evals(progress.evaluations)
    meta: CheckpointMeta = {
        "step": trainer.step,
        "died": progress.died,
        "seconds": progress.seconds,
        "evaluating": progress.evaluating,
        "stopped": progress.stopped,
    }
    folder.write_checkpoint(to_arrays(trainer.state()), meta)


def resume(folder: StackFolder, trainer: Trainer, began: float) -> Progress:
    """Put the trainer where the folder's checkpoint is, if there is one, and drop rows of later steps."""
    checkpoint = folder.checkpoint()
    step = checkpoint[1]["step"] if checkpoint else 0
    # Rows beyond the checkpoint come from a process that was killed; training makes the same ones again.
    folder.drop_traces_after(step)
    folder.drop_evals_after(step)
    if checkpoint is None:
        return Progress([0] * len(trainer.runs.seeds), began)
    tensors, meta = checkpoint
    trainer.restore(from_arrays(trainer.state(), tensors), step)
    return Progress(
        died=meta["died"],
        began=began,
        evaluations=cast(list[EvaluationRow], folder.evals().to_dict("records")),
        stopped={run: Verdict.read(verdict) for run, verdict in meta.get("stopped", {}).items()},
        evaluating=meta["evaluating"],
        earlier=meta["seconds"],
    )


def to_arrays(state: State) -> dict[str, np.ndarray]:
    """A state as named arrays: its tensors, numbered in the order of the tree."""
    leaves = pytree.tree_leaves(state)
    return {f"{index:04d}": leaf.detach().cpu().numpy() for index, leaf in enumerate(leaves)}


def from_arrays(like: State, arrays: Mapping[str, np.ndarray]) -> State:
    """The state that these arrays hold, with the structure and devices of `like`."""
    leaves, spec = pytree.tree_flatten(like)
    # A safetensors file, unlike a pickle, runs no code when read. It holds no trees: leaves have numbers.
    loaded = [torch.from_numpy(arrays[f"{index:04d}"]).to(leaf.device) for index, leaf in enumerate(leaves)]
    state: State = pytree.tree_unflatten(loaded, spec)
    return state
