"""`ganbench verify`."""

from __future__ import annotations

import json
import shutil
import tempfile
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganbench.errors import BadInput

if TYPE_CHECKING:
    from ganbench.sharing.compare import Compared
    from ganbench.sharing.verify import Verified

SIGNS = {True: ("ok", "green"), False: ("WRONG", "red"), None: ("skipped", "yellow")}

_INDENT = 19  # a sign of 7, a name of 10, and a blank after each
"""Columns before the detail of a check."""


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--retrain", type=click.IntRange(1), metavar="N", help="Train N of its runs again and compare.")
@click.option(
    "--plugin", "files", multiple=True, metavar="FILE", help="Load a single-file plugin, for --retrain."
)
@click.option(
    "--trust",
    multiple=True,
    metavar="NAME",
    help="Execute the archive's own plugin NAME, such as my_loss.py, for --retrain. Read it first.",
)
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Number of processes, for --retrain.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(
    archive: Path,
    retrain: int | None,
    files: tuple[str, ...],
    trust: tuple[str, ...],
    workers: int | None,
    as_json: bool,
) -> int:
    """Check an ARCHIVE that `ganbench pack` made.

    Checksums must match, run keys must follow from configurations, verdicts from traces, and no run may be
    missing. --retrain trains a sample of the runs again, chosen by the archive's digest, and compares rows.
    Nothing in the archive is executed except plugins named with --trust.

    Exit code 1: a check failed.
    """
    from ganbench.sharing.plugin_files import trusted
    from ganbench.sharing.verify import verify as verify_archive

    if trust and not retrain:
        raise BadInput("--trust needs --retrain N")

    with tempfile.TemporaryDirectory(prefix="ganbench-verify-") as scratch:
        verified = verify_archive(archive, _below(scratch, "archive"), trust)
        # after unpacking: a name is allowed only if the archive holds that plugin
        allowed = (*files, *trusted(verified.folder, trust))
        compared = (
            _retrained(verified, retrain, _below(scratch, "retrained"), allowed, workers) if retrain else []
        )
    if as_json:
        click.echo(json.dumps(summary(verified, compared), indent=1))
    else:
        _show(verified, compared)
    return int(not verified.ok)


def summary(verified: Verified, compared: list[Compared]) -> dict[str, object]:
    """The checks and comparisons as plain data."""
    facts = ("suite", "ganbench", "runs", "traces", "versions")
    return {
        "archive": str(verified.archive),
        "digest": verified.digest,
        "ok": verified.ok,
        **{name: verified.manifest.get(name) for name in facts},
        "checks": [asdict(check) for check in verified.checks],
        "retrained": [asdict(run) for run in compared],
    }


def _below(scratch: str, name: str) -> Path:
    folder = Path(scratch) / name
    folder.mkdir()
    return folder


def _retrained(
    verified: Verified, count: int, scratch: Path, files: tuple[str, ...], workers: int | None
) -> list[Compared]:
    """Train a sample of the runs again and compare them. Add the checks to `verified`."""
    from ganbench.planning.choice import settings
    from ganbench.plugins.discovery import discover
    from ganbench.sharing.retrain import retrain
    from ganbench.sharing.verify import Check

    # a configuration that failed a check must not choose what is executed here
    if not verified.ok:
        verified.checks.append(Check("retrained", None, "not tried: another check failed"))
        return []
    catalogue = discover(files)
    chosen = settings(None, "auto", workers, catalogue)
    checks, compared = retrain(verified, count, scratch, catalogue, chosen, files)
    verified.checks += checks
    return compared


def _show(verified: Verified, compared: list[Compared]) -> None:
    from ganbench.text import printable

    click.echo(printable(f"archive {verified.archive}: {verified.manifest.get('suite')}"))
    click.echo(f"digest  {verified.digest}")
    width = shutil.get_terminal_size((80, 24)).columns
    for check in verified.checks:
        sign, colour = SIGNS[check.ok]
        lines = _wrapped(check.detail, width - _INDENT)
        click.echo(f"{click.style(f'{sign:<7}', colour)} {check.name:<10} {lines[0]}")
        for line in [*lines[1:], *map(printable, check.runs)]:
            click.echo(" " * _INDENT + line)
    for run in compared:
        lines = _wrapped(f"{run.label} seed {run.seed}: {run.detail}", width - 8)
        click.echo("\n".join(" " * 8 + line for line in lines))


def _wrapped(text: str, width: int) -> list[str]:
    from ganbench.text import printable

    return textwrap.wrap(printable(text, 2000), max(width, 20), break_on_hyphens=False) or [""]
