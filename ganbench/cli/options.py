"""Options that commands share, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganbench.errors import BadInput

if TYPE_CHECKING:
    from ganbench.planning.choice import Settings
    from ganbench.plugins.discovery import Catalogue
    from ganbench.suites.load import Suite

_OPTIONS = (
    click.option(
        "--seeds", metavar="N|LIST", help="A count, or seeds such as 0,1,7, in place of the suite's."
    ),
    click.option("--steps", type=int, metavar="N", help="Training steps, in place of the suite's."),
    click.option(
        "--device",
        metavar="cpu|cuda|cuda:N,…",
        help="Where to train; cuda: on all GPUs; cuda:0,2: on these. Default: all GPUs, or the CPU.",
    ),
    click.option(
        "--engine",
        default="auto",
        show_default=True,
        help="How to execute: auto, loop, or the name of an executor.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        metavar="N",
        help="Number of processes. Default: one per core, or one per GPU.",
    ),
    click.option("--out", type=click.Path(path_type=Path), help="Folder of results. Default: results/SUITE."),
    click.option(
        "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value of the suite."
    ),
    click.option(
        "--plugin", "plugin_files", multiple=True, metavar="FILE", help="Load a single-file plugin."
    ),
)


def suite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that take a suite."""
    # the decorator applied last comes first in --help
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Job:
    """A suite that is ready to be planned and trained.

    Arguments:
        plugin_files: the single-file plugins of the command line and of the suite, for the workers to load.
        root: the folder of its results.
    """

    suite: Suite
    catalogue: Catalogue
    settings: Settings
    plugin_files: list[str]
    root: Path


@dataclass(frozen=True)
class Request:
    """A suite and how to train it, as the command line says."""

    suite: str
    seeds: str | None
    steps: int | None
    device: str | None
    engine: str
    workers: int | None
    out: Path | None
    overrides: tuple[str, ...]
    plugin_files: tuple[str, ...]

    def resolve(self) -> Job:
        """Discover plugins, load the suite, and choose how and where to train it."""
        from ganbench.planning.choice import settings
        from ganbench.plugins.discovery import add_files, discover
        from ganbench.running.rejudge import in_force
        from ganbench.running.session import results_root
        from ganbench.suites.load import find_suite, load_suite, read

        for file in self.plugin_files:
            if not Path(file).is_file():
                raise BadInput(f"--plugin: there is no file {file!r}")
        catalogue = discover(self.plugin_files)
        source = read(find_suite(self.suite, catalogue))
        # in two steps: a plugin may provide the suite, whose file names further plugins
        files = [*self.plugin_files, *map(str, source.plugins)]
        add_files(catalogue, files)
        seeds = None if self.seeds is None else parse_seeds(self.seeds)
        suite = load_suite(source, catalogue, overrides=self.overrides, seeds=seeds, steps=self.steps)
        chosen = settings(self.device, self.engine, self.workers, catalogue)
        root = results_root(self.out, suite.name)
        return Job(in_force(suite, root), catalogue, chosen, files, root)


def parse_seeds(text: str) -> int | list[int]:
    """A count for a text such as "5", a list of seeds for one such as "0,1,7"."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(f"--seeds: {text!r} is neither a count nor a list such as 0,1,7") from None
    # "5," is the one seed 5
    return numbers if "," in text else numbers[0]
