"""A logger."""

import csv
from dataclasses import dataclass
from functools import cached_property

import ganbench

COLUMNS = ("variant", "seed", "outcome", "onset_step", "reason")


@dataclass(frozen=True)
class OutcomeTable(ganbench.Logger):
    """A line of CSV (RFC 4180) a run that has ended: how, when and why. For `tail -f` while a suite trains.

    Arguments:
        file: its name, in the folder of results.
    """

    name = "outcome-table"
    file: str = "outcomes.csv"

    @cached_property
    def _state(self):
        """What it keeps from call to call: its own fields are options, and frozen."""
        return {}

    def opened(self, root, suite):
        """Begins the file, or goes on with it."""
        self._state["path"] = root / self.file
        if not self._state["path"].exists():
            self._append([COLUMNS])

    def finished(self, stack, runs):
        """A line a run."""
        self._append([[run[column] for column in COLUMNS] for run in runs])

    def _append(self, rows):
        with self._state["path"].open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
