"""A logger."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ganbench

COLUMNS = ("variant", "seed", "outcome", "onset_step", "reason")


@dataclass(frozen=True)
class OutcomeTable(ganbench.Logger):
    """One line of CSV (RFC 4180) per finished run: how, when and why it ended. Follow it with `tail -f`.

    Arguments:
        file: its name, in the folder of results.
    """

    name = "outcome-table"
    file: str = "outcomes.csv"

    @cached_property
    def _paths(self) -> dict[str, Path]:
        """State between calls. It cannot be a field: fields are options, and frozen."""
        return {}

    def opened(self, root: Path, suite: Mapping[str, Any]) -> None:
        """Starts the file, or continues it."""
        self._paths["table"] = root / self.file
        if not self._paths["table"].exists():
            self._append([COLUMNS])

    def finished(self, stack: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> None:
        """Writes a line per run."""
        self._append([[run[column] for column in COLUMNS] for run in runs])

    def _append(self, rows: Iterable[Sequence[object]]) -> None:
        with self._paths["table"].open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
