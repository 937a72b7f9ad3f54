"""What of a suite can be checked without its variants: every name, and every table of options by itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganbench.components.optimizers import OPTIMIZERS
from ganbench.errors import nearest
from ganbench.plugins.discovery import Catalogue
from ganbench.suites import matrix, sweeps
from ganbench.suites.optimizer_tables import inherit, own, players_of
from ganbench.suites.schema import Document
from ganbench.suites.sweeps import is_sweep
from ganbench.suites.toml_file import Problems
from ganbench.text import brief, printable

_A = {"metric": "a metric", "extractor": "an extractor"}


@dataclass
class Checker:
    """Takes note of all that is wrong, and of what must not be looked at again.

    Arguments:
        missing: (kind, name) -> why that component is not there, where a failed plugin may have it.
        unknown: names that no plugin can be blamed for.
        faulty: components whose options are bad, and places of bad optimisers.
    """

    catalogue: Catalogue
    problems: Problems
    missing: dict[tuple[str, str], str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    faulty: set[str] = field(default_factory=set)

    def check(self, document: Document) -> None:
        """Check all names, and all tables of options, each by itself."""
        for kind, name, where in matrix.mentions(document):
            self._check_name(kind, name, where)
        for name, table in document.options.items():
            self._check_options(name, table, f"options.{name}", {})
        for index, entry in enumerate(document.matrix.include if document.matrix else ()):
            for name, table in entry.options.items():
                kept = {} if name in self.faulty else sweeps.first(document.options.get(name, {}))
                self._check_options(name, table, f"matrix.include.{index}.options.{name}", kept)
        for table, where in matrix.optimizers(document):
            self._check_optimizer(table, where)

    def _check_name(self, kind: str, name: str, where: str) -> None:
        known, disabled = self.catalogue.components[kind], self.catalogue.disabled
        if name in known or (kind, name) in self.missing:
            return
        if refused := self.catalogue.refused(kind, name):
            self.unknown.add(name)
            self.problems.add(where, f"{kind} {brief(name)} is refused: {refused.told}")
            return
        # where plugins failed or are disabled, a name may be theirs: only what is nearly equal is a typo then
        failures = [f for f in self.catalogue.failures if not (f.component and f.component[1])]
        if (failures or disabled) and not difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            causes = [f"plugin {f.plugin!r} of {f.distribution} failed: {f.told}" for f in failures]
            causes += [f"plugin {plugin!r} of {owner} is disabled" for plugin, owner in disabled.items()]
            self.missing[kind, name] = printable(f"{kind} {name!r} is not there; {'; '.join(causes)}", 2000)
            return
        self.unknown.add(name)
        self.problems.add(
            where, f"unknown {kind} {brief(name)}; {nearest(name, known)}{self._hint(name, known)}"
        )

    def _hint(self, name: str, known: Iterable[str]) -> str:
        """Where a name that is not like any known one may have been meant to come from."""
        idle = idle_plugins(self.catalogue)
        if idle:
            return f"; {idle[0]}"
        if difflib.get_close_matches(name, known, n=1, cutoff=0.6):
            return ""
        return "; a plugin's file is named in plugins = [...] or by --plugin"

    def _check_options(self, name: str, table: Mapping[str, Any], where: str, kept: dict[str, Any]) -> None:
        for kind in ("dataset", "model", "loss", "technique", "metric", "extractor"):
            registered = self.catalogue.components[kind].get(name)
            if registered is None:
                continue
            if kind in ("metric", "extractor") and any(map(is_sweep, table.values())):
                self.problems.add(where, f"the options of {_A[kind]} cannot be swept")
                self.faulty.add(name)
            elif not sweeps.check(registered.cls, {**kept, **table}, where, self.problems):
                self.faulty.add(name)

    def _check_optimizer(self, table: Mapping[str, Any], where: str) -> None:
        base = own(table)
        sound = self._check_optimizer_options(base, where)
        for player, override in players_of(table).items() if base.get("name") in list(OPTIMIZERS) else ():
            kept = sweeps.first(base) if sound else {"name": base["name"]}
            sound &= self._check_optimizer_options(inherit(kept, override), f"{where}.{player}")
        if not sound:
            self.faulty.add(where)

    def _check_optimizer_options(self, table: Mapping[str, Any], where: str) -> bool:
        options = dict(table)
        name = options.pop("name", None)
        if name is None:
            self.problems.add(f"{where}.name", f"is missing; {nearest('', OPTIMIZERS)}")
        elif name not in list(OPTIMIZERS):  # it may be a list or a table
            known = nearest(str(name), OPTIMIZERS)
            self.problems.add(f"{where}.name", f"unknown optimizer {brief(name)}; {known}")
        else:
            return sweeps.check(OPTIMIZERS[name], options, where, self.problems)
        return False


def idle_plugins(catalogue: Catalogue) -> list[str]:
    """A sentence for each plugin that was loaded, but implements no hook."""
    manager = catalogue.manager
    return [
        f"{owner} provides no component: mark its hook with @ganbench.hookimpl"
        for name, owner in catalogue.plugins.items()
        if not manager.get_hookcallers(manager.get_plugin(name))
    ]
