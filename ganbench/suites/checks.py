"""Checks of a suite's names and options: every name, and every table of options on its own.

What follows (`ganbench.suites.variants`) makes components of what was found sound here. Only options that are
sound one by one and not together come to light there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ganbench.components.instances import Instances
from ganbench.components.optimizers import OPTIMIZERS
from ganbench.errors import nearest
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import OptionValue
from ganbench.suites import matrix, sweeps
from ganbench.suites.matrix import Cell
from ganbench.suites.optimizer_tables import inherit, player_tables, shared_table
from ganbench.suites.schema import Document
from ganbench.suites.sweeps import Table, is_sweep
from ganbench.suites.toml_file import Problems
from ganbench.text import brief, printable

_A = {"metric": "a metric", "extractor": "an extractor"}
_KEY = {"technique": "techniques"}
"""The key of a suite under which components of a kind stand, where it is not the kind."""


@dataclass
class Checker:
    """Records all problems, and which components need no further check.

    Arguments:
        instances: keeps the components that checking makes, for whatever comes after it.
        missing: (kind, name) -> why that component is not there, where a failed plugin may have it.
        unknown: names that no plugin can be blamed for.
        faulty: components whose options are bad, and places of bad optimisers and metrics.
    """

    catalogue: Catalogue
    instances: Instances
    problems: Problems
    missing: dict[tuple[str, str], str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    faulty: set[str] = field(default_factory=set)

    def check(self, document: Document) -> None:
        """Check all names, and all tables of options, one by one."""
        for kind, name, where in matrix.mentions(document):
            self._check_name(kind, name, where)
        for name, table in document.options.items():
            self._check_options(name, table, f"options.{name}", {})
        for index, entry in enumerate(document.matrix.include if document.matrix else ()):
            for name, table in entry.options.items():
                # faulty options of the file are reported already, and would be once more in each entry
                kept = {} if name in self.faulty else sweeps.first(document.options.get(name, {}))
                self._check_options(name, table, f"matrix.include.{index}.options.{name}", kept)
        for table, where in matrix.optimizers(document):
            self._check_optimizer(table, where)
        for table, where in matrix.metrics(document):
            self._check_swept("metric", table, where, faulty=where)

    def usable(self, cell: Cell) -> bool:
        """Whether the parts of a cell are there and sound; if not, the problems say why."""
        for kind, name, _ in cell.parts():
            known = self.catalogue.components[kind].keys() | self.unknown
            if name not in known and (kind, name) not in self.missing:
                # the document does not name it, so `check` has not seen it: it can only be the recipe's
                model = cell.values["model"]
                what = f"the recipe of {model!r} names the {kind} {name!r}, which is not there; name another"
                self.problems.add(cell.origins[_KEY.get(kind, kind)], what)
                return False
        bad = self.faulty | self.unknown
        return bad.isdisjoint(cell.names() | {cell.origins["optimizer"]})

    def _check_name(self, kind: str, name: str, where: str) -> None:
        installed, disabled = self.catalogue.components[kind], self.catalogue.disabled
        if name in installed or (kind, name) in self.missing:
            return
        if refused := self.catalogue.refused(kind, name):
            self.unknown.add(name)
            self.problems.add(where, f"{kind} {brief(name)} is refused: {refused.message}")
            return
        # where plugins failed or are disabled, a name may be theirs: only what is nearly equal is a typo then
        failures = [f for f in self.catalogue.failures if not (f.component and f.component[1])]
        if (failures or disabled) and not difflib.get_close_matches(name, installed, n=1, cutoff=0.8):
            causes = [f"plugin {f.plugin!r} of {f.distribution} failed: {f.message}" for f in failures]
            causes += [f"plugin {plugin!r} of {owner} is disabled" for plugin, owner in disabled.items()]
            self.missing[kind, name] = printable(f"{kind} {name!r} is not there; {'; '.join(causes)}", 2000)
            return
        self.unknown.add(name)
        self.problems.add(
            where, f"unknown {kind} {brief(name)}; {nearest(name, installed)}{self._hint(name, installed)}"
        )

    def _hint(self, name: str, known: Iterable[str]) -> str:
        """Where a name that is not like any known one may have been meant to come from."""
        idle = idle_plugins(self.catalogue)
        if idle:
            return f"; {idle[0]}"
        if difflib.get_close_matches(name, known, n=1, cutoff=0.6):
            return ""
        return "; a plugin's file is named in plugins = [...] or by --plugin"

    def _check_options(self, name: str, table: Table, where: str, inherited: Table) -> None:
        """Check options of every kind of component that has the name; `kept` are those that they add to."""
        # one table serves all kinds: a model and a metric may share a name
        for kind in ("dataset", "model", "loss", "technique", "metric", "extractor"):
            registered = self.catalogue.components[kind].get(name)
            if registered is None:
                continue
            if self._check_swept(kind, table, where, faulty=name):
                continue
            if not sweeps.check(registered.cls, {**inherited, **table}, where, self.problems, self.instances):
                self.faulty.add(name)

    def _check_swept(self, kind: str, table: Table, where: str, faulty: str) -> bool:
        """Report options that are swept and cannot be. Whether there are any."""
        # sweeping one would train the same run once a value, only to measure it differently
        if kind not in _A or not any(map(is_sweep, table.values())):
            return False
        self.problems.add(where, f"the options of {_A[kind]} cannot be swept")
        self.faulty.add(faulty)
        return True

    def _check_optimizer(self, table: dict[str, OptionValue], where: str) -> None:
        base = shared_table(table)
        sound = self._check_optimizer_options(base, where)
        # players inherit from the base: without a known optimiser there is nothing to check them by
        for player, override in player_tables(table).items() if base.get("name") in list(OPTIMIZERS) else ():
            inherited = sweeps.first(base) if sound else {"name": base["name"]}
            sound &= self._check_optimizer_options(inherit(inherited, override), f"{where}.{player}")
        if not sound:
            self.faulty.add(where)

    def _check_optimizer_options(self, table: Table, where: str) -> bool:
        options = dict(table)
        name = options.pop("name", None)
        if name is None:
            self.problems.add(f"{where}.name", f"is missing; {nearest('', OPTIMIZERS)}")
        elif name not in list(OPTIMIZERS):  # it may be a list or a table
            known = nearest(str(name), OPTIMIZERS)
            self.problems.add(f"{where}.name", f"unknown optimizer {brief(name)}; {known}")
        else:
            return sweeps.check(OPTIMIZERS[name], options, where, self.problems, self.instances)
        return False


def idle_plugins(catalogue: Catalogue) -> list[str]:
    """A sentence for each plugin that was loaded, but implements no hook."""
    manager = catalogue.manager
    return [
        f"{owner} provides no component: mark its hook with @ganbench.hookimpl"
        for name, owner in catalogue.plugins.items()
        if not manager.get_hookcallers(manager.get_plugin(name))
    ]
