"""TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

import ganbench
from ganbench import slug, stack_traces
from ganbench_builtin.loggers._run_facts import by_run, facts, lacking


@dataclass(frozen=True)
class TensorBoard(ganbench.Logger):
    """Event files for TensorBoard (Abadi et al. 2016, arXiv:1605.08695), one folder a run.

    Metrics are scalars, the outcome with its reason is a text, and what identifies a run, values of
    swept options included, are its hyper-parameters.

    Arguments:
        folder: where the files go; by default to `tensorboard` in the folder of results.
        traces: how many steps of every probe's trace are written when a stack ends; 0 for none.
    """

    name = "tensorboard"
    folder: str = ""
    traces: Annotated[int, Field(ge=0)] = 0

    def available(self) -> str | None:
        """The package `tensorboard` is an extra."""
        return lacking("tensorboard", self.name)

    @cached_property
    def _roots(self) -> list[Path]:
        return []

    @cached_property
    def _files(self) -> dict[str, _EventFile]:
        """The file of each run, by its key."""
        return {}

    def opened(self, root: Path, suite: Mapping[str, Any]) -> None:
        """Take note of where to write."""
        self._roots.append(Path(self.folder) if self.folder else root / "tensorboard")

    def started(self, stack: Mapping[str, Any]) -> None:
        """A new file a run; what an earlier one says of later steps does not count."""
        from torch.utils.tensorboard.summary import hparams

        for run, key in enumerate(stack["keys"]):
            own = f"seed{stack['seeds'][run]}-{key[:8]}"
            self._files[key] = _EventFile(self._roots[-1] / slug(stack["variants"][run]) / own, stack["step"])
            _, begun, _ = hparams(facts(stack, run), {})
            self._files[key].add(0, [begun])

    def evaluated(self, stack: Mapping[str, Any], step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """A scalar a metric."""
        for run, values in by_run(rows).items():
            self._files[stack["keys"][run]].add_scalars(step, values)

    def finished(self, stack: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> None:
        """The outcome, and the thinned traces."""
        from torch.utils.tensorboard.summary import hparams, text

        traces = _thinned(stack_traces(stack["folder"]), self.traces) if self.traces else iter(())
        for run, step, values in traces:
            self._files[stack["keys"][run]].add_scalars(step, values)
        for row in runs:
            sentence = f"{row['outcome']}: {row['reason']}" if row["reason"] else row["outcome"]
            file = self._files.pop(row["key"], None)
            if file:
                _, _, ended = hparams({}, {})
                file.add(row["steps"], [text("outcome", sentence), ended])


class _EventFile:
    """Appends to an event file that is open only meanwhile: a stack may have thousands of runs.

    Arguments:
        step: of where the run begins or resumes.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"events.out.tfevents.{time.time_ns()}"
        begins = SessionLog(status=SessionLog.START)
        self._append(
            [
                Event(wall_time=time.time(), file_version="brain.Event:2"),
                Event(wall_time=time.time(), step=step + 1 if step else 0, session_log=begins),
            ]
        )

    def add(self, step: int, summaries: Sequence[Any]) -> None:
        """Write summaries, all of the same step."""
        from tensorboard.compat.proto.event_pb2 import Event

        now = time.time()
        self._append([Event(wall_time=now, step=step, summary=summary) for summary in summaries])

    def add_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers by their tags."""
        from torch.utils.tensorboard.summary import scalar

        self.add(step, [scalar(tag, value) for tag, value in values.items()])

    def _append(self, events: Sequence[Any]) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        with open(self._path, "ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())


def _thinned(traces: pd.DataFrame, points: int) -> Iterator[tuple[int, int, dict[str, float]]]:
    """(run, step, "player/probe" -> value) at up to `points` of each run's steps, evenly chosen."""
    for run in range(int(traces["run"].max()) + 1 if len(traces) else 0):
        own = traces[traces["run"] == run]
        steps = np.unique(own["step"])
        chosen = steps[np.linspace(0, len(steps) - 1, min(points, len(steps))).round().astype(int)]
        by_step: dict[int, dict[str, float]] = {}
        for row in own[own["step"].isin(chosen)].drop(columns="run").to_dict("records"):
            step, player = int(row.pop("step")), row.pop("player")
            known = {f"{player}/{probe}": value for probe, value in row.items() if value == value}
            by_step.setdefault(step, {}).update(known)
        yield from ((run, step, values) for step, values in by_step.items())
