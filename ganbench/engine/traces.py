"""Traces of a stack: probes of every step, gathered in memory and written block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ganbench.game.probes import LOGIT_PROBES, PLAYER_PROBES
from ganbench.storage.stack_folder import StackFolder


class TraceWriter:
    """Holds the probes of steps that are not on disk yet.

    Arguments:
        columns: (player, probe) of each column of the probes.
        flushed: the last step whose probes are on disk.
    """

    def __init__(self, folder: StackFolder, columns: list[tuple[str, str]], flushed: int) -> None:
        self._folder, self._columns, self.flushed = folder, columns, flushed
        self._blocks: list[Tensor] = []

    def add(self, probes: Tensor) -> None:
        """Take in the probes of the next steps: steps x runs x columns."""
        self._blocks.append(probes)

    def flush(self, step: int, died: Sequence[int]) -> None:
        """Write the probes up to `step`, the last one added."""
        if self._blocks:
            first, probes = self.flushed + 1, torch.cat(self._blocks)
            columns = trace_columns(probes.numpy(), first, self._columns, died)
            self._folder.write_traces(first, step, columns)
            self._blocks, self.flushed = [], step


def trace_columns(
    probes: np.ndarray, first: int, columns: list[tuple[str, str]], died: Sequence[int]
) -> dict[str, np.ndarray]:
    """Rows (run, step, player) of a block of probes, steps x runs x columns; none after a run's death."""
    steps, runs, _ = probes.shape
    at = {column: index for index, column in enumerate(columns)}
    step, run = (
        grid.ravel() for grid in np.meshgrid(np.arange(first, first + steps), np.arange(runs), indexing="ij")
    )
    # the step of death itself is kept: its probes show what was not finite
    end = np.array([d or np.iinfo(np.int64).max for d in died])
    keep = step <= end[run]
    parts: list[dict[str, np.ndarray]] = []
    for player in dict.fromkeys(player for player, _ in columns):
        part = {"run": run[keep].astype(np.int32), "step": step[keep]}
        part["player"] = np.full(int(keep.sum()), player)
        # All players get the same columns, NaN where one has no such probe: parts then concatenate.
        for name in dict.fromkeys([*PLAYER_PROBES, *LOGIT_PROBES, *(probe for _, probe in columns)]):
            index = at.get((player, name))
            values = np.full(steps * runs, np.nan) if index is None else probes[:, :, index].ravel()
            # Half the size of float64. Verdicts compare norms by factors, which need no more digits.
            part[name] = values[keep].astype(np.float32)
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
