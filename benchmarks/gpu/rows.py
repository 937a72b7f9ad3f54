"""What the steps measure, a row each, and their files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter

from benchmarks.speed.throughput import Throughput
from ganbench.storage.atomic import write_json


@dataclass(frozen=True)
class SuiteRow:
    """A suite through `ganbench run`, start of the workers, evaluation and report included.

    Arguments:
        code: exit code; None where the command was stopped, and only runs that had ended are counted.
        outcomes: outcome -> runs.
        ways: executor -> runs.
    """

    suite: str
    options: list[str]
    runs: int
    steps: int
    seconds: float
    code: int | None
    outcomes: dict[str, int]
    ways: dict[str, int]

    @property
    def run_steps(self) -> float:
        """Per second."""
        return self.runs * self.steps / self.seconds


@dataclass(frozen=True)
class MemoryRow:
    """Bytes of a stack: as planned, and at most as measured. None where there is no GPU to ask."""

    game: str
    way: str
    runs: int
    estimate: int
    peak: int | None


@dataclass(frozen=True)
class BitsRow:
    """Whether a game ends with equal bits in two processes that compile anew."""

    game: str
    way: str
    equal: bool | None
    reason: str = ""


@dataclass(frozen=True)
class Failed:
    """What could not be measured, and why."""

    what: str
    reason: str


Row: TypeAlias = Throughput | SuiteRow | MemoryRow | BitsRow | Failed
_KINDS: dict[str, type[Row]] = {
    cls.__name__: cls for cls in (Throughput, SuiteRow, MemoryRow, BitsRow, Failed)
}


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write the file anew after every row: a time limit loses only the last one."""
    held: list[dict[str, object]] = []
    write_json(path, {"rows": held})
    for row in rows:
        held.append({"kind": type(row).__name__, **asdict(row)})
        write_json(path, {"rows": held})


def read(path: Path) -> list[Row]:
    """The rows of a file; none where the step has not begun."""
    if not path.exists():
        return []
    entries = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [TypeAdapter(_KINDS[entry.pop("kind")]).validate_python(entry) for entry in entries]
