"""What `ganbench plugins check` starts: checks in a separate process, which reports line by line in JSON.

A plugin may hang here, exit, or print: the parent process reads what was reported until then.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from ganbench.components.base import Component
from ganbench.errors import BadInput, nearest
from ganbench.hookspecs import PROJECT
from ganbench.plugins.discovery import DISABLE, STRICT, Catalogue, Failure, Registered, discover
from ganbench.plugins.loading import SLOW
from ganbench.storage.records import OptionValue

Event = dict[str, OptionValue]


@dataclass(frozen=True)
class Target:
    """What is to be checked: some components, and how their plugins were loaded."""

    components: list[Registered[Component]]
    plugins: set[str]
    failures: list[Failure]


def main() -> None:
    """Check sys.argv[1], with the settings (JSON) of sys.argv[2]; report to the descriptor sys.argv[3]."""
    name, settings = sys.argv[1], json.loads(sys.argv[2])
    # a broken plugin must become a finding here, not an exception for the whole command
    os.environ.pop(STRICT, None)
    # a descriptor of its own, because plugins may print to standard output
    with os.fdopen(int(sys.argv[3]), "w", encoding="utf-8") as out:
        try:
            for event in checked(name, settings):
                report(out, event)
        except BadInput as error:
            report(out, {"event": "bad input", "problems": [str(problem) for problem in error.problems]})
        # the parent takes a report without this line for a process that died
        report(out, {"event": "end"})


def report(out: TextIO, event: Event) -> None:
    """Write one line at once: this process may not live to write another."""
    out.write(json.dumps(event) + "\n")
    out.flush()


def checked(name: str, settings: Mapping[str, OptionValue]) -> Iterator[Event]:
    """What happens, one event after another.

    "check": a check of a component begins; "finding": what it found.
    """
    # normalised: failures of a file are recorded under str(Path)
    name = str(Path(name)) if is_file(name) else name
    subject = Path(name).name if is_file(name) else name
    # sent before loading, so that the parent can name what hung
    yield {"event": "check", "component": subject, "check": "loads"}
    catalogue = discover([name] if is_file(name) else [])
    target = find(name, catalogue)
    for finding in of_loading(target, catalogue):
        yield {"event": "finding", "component": subject, **finding}
    for registered in target.components:
        yield from of_component(registered, catalogue, settings)


def is_file(name: str) -> bool:
    """Whether a file is named, rather than a component, a plugin or a distribution."""
    return name.endswith(".py") or os.sep in name


def find(name: str, catalogue: Catalogue) -> Target:
    """What `name` stands for; BadInput where it is nothing that is installed."""
    registered = [one for kind in catalogue.components.values() for one in kind.values()]
    owners = catalogue.owners
    plugins = {plugin for plugin, owner in owners.items() if name in (plugin, owner)}
    failures = [failure for failure in catalogue.failures if name in (failure.plugin, failure.distribution)]
    # a plugin's name comes before a component's, and stands for all of its components
    components = [one for one in registered if one.plugin in plugins] or [
        one for one in registered if one.cls.name == name
    ]
    if components or plugins or failures:
        return Target(components, plugins, failures)
    if name in {*catalogue.disabled, *catalogue.disabled.values()}:
        raise BadInput(f"the plugin {name!r} is disabled by {DISABLE}")
    every = {*owners, *owners.values(), *(one.cls.name for one in registered)}
    raise BadInput(f"there is no component, plugin or distribution {name!r}; {nearest(name, every)}")


def of_loading(target: Target, catalogue: Catalogue) -> Iterator[Event]:
    """Findings about how plugins were loaded."""
    loads = "It is imported, its hooks are known, and the components that they return can be registered."
    for failure in target.failures:
        yield _finding("loads", loads, failure.reason, failure.fix) | {"traceback": failure.traceback}
    if not target.failures and target.plugins:
        yield _finding("loads", loads)
    for plugin in sorted(target.plugins):
        # ganbench's own plugins may be slow: torch is imported by whichever comes first
        loading, own = catalogue.loading[plugin], catalogue.owners[plugin] == PROJECT
        printed = f"it printed {loading.printed.strip()[:60]!r}" if loading.printed else ""
        fix = "print nothing at the top of a module; use the module warnings to warn"
        yield _finding("imports-quietly", "Importing it prints nothing.", printed, fix)
        slow = f"it took {loading.seconds:.1f} s" if loading.slow and not own else ""
        fix = "do slow work and slow imports inside the functions that need them"
        yield _finding("imports-quickly", f"Importing it takes less than {SLOW:g} s.", slow, fix)
        if not catalogue.manager.get_hookcallers(catalogue.manager.get_plugin(plugin)):
            fix = "mark the functions that return components with @ganbench.hookimpl"
            yield _finding("provides-something", "It implements a hook.", "it implements none", fix)


def of_component(
    registered: Registered[Component], catalogue: Catalogue, settings: Mapping[str, OptionValue]
) -> Iterator[Event]:
    """The checks of one component."""
    # torch is not needed where a plugin cannot be loaded
    import torch

    from ganbench.testing import Case, checks_of
    from ganbench.testing.run import quietly

    # toy tensors are so small that threads cost more than they save
    torch.set_num_threads(1)
    cls = registered.cls
    where = {"component": f"{cls.kind} {cls.name}"}
    case = Case(cls, catalogue, settings.get("options"))
    for one in checks_of(cls.kind):
        if one.name not in settings.get("skip", ()):
            yield {"event": "check", **where, "check": one.name}
            yield {"event": "finding", **where, **asdict(quietly(one, case))}


def _finding(check: str, expected: str, seen: str = "", fix: str = "") -> Event:
    outcome = "failed" if seen else "passed"
    return {
        "check": check,
        "outcome": outcome,
        "expected": expected,
        "seen": seen,
        "fix": fix if seen else "",
    }


if __name__ == "__main__":
    main()
