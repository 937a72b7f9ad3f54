"""`ganbench verify`."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganbench.errors import BadInput

if TYPE_CHECKING:
    from ganbench.sharing.compare import Compared
    from ganbench.sharing.verify import Verified

SIGNS = {True: ("ok", "green"), False: ("WRONG", "red"), None: ("skipped", "yellow")}


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--retrain", type=click.IntRange(1), metavar="N", help="Train N of its runs here and compare.")
@click.option(
    "--plugin", "files", multiple=True, metavar="FILE", help="A plugin that is a single file, for --retrain."
)
@click.option(
    "--trust",
    multiple=True,
    metavar="NAME",
    help="Execute the archive's plugin NAME, such as my_loss.py, for --retrain. Read it first.",
)
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes, for --retrain.")
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

    Its checksums; that run keys follow from the configurations and verdicts from the traces; that no run was
    left out. With --retrain, a sample that its digest chooses is trained here. Nothing in it is executed, but
    plugins that --trust names.

    Exit code 1: something is wrong with it.
    """
    from ganbench.sharing.plugin_files import trusted
    from ganbench.sharing.verify import verify as verify_archive

    if trust and not retrain:
        raise BadInput("--trust is for training again: give --retrain N too")

    with tempfile.TemporaryDirectory(prefix="ganbench-verify-") as scratch:
        found = verify_archive(archive, _below(scratch, "archive"))
        allowed = (*files, *trusted(found.folder, trust))
        compared = (
            _retrained(found, retrain, _below(scratch, "retrained"), allowed, workers) if retrain else []
        )
    if as_json:
        click.echo(json.dumps(summary(found, compared), indent=1))
    else:
        _show(found, compared)
    return int(not found.ok)


def summary(found: Verified, compared: list[Compared]) -> dict[str, Any]:
    """What was found, as plain data."""
    told = {name: found.manifest.get(name) for name in ("suite", "ganbench", "runs", "traces", "versions")}
    return {
        "archive": str(found.archive),
        "digest": found.digest,
        "ok": found.ok,
        **told,
        "checks": [asdict(check) for check in found.checks],
        "retrained": [asdict(one) for one in compared],
    }


def _below(scratch: str, name: str) -> Path:
    folder = Path(scratch) / name
    folder.mkdir()
    return folder


def _retrained(
    found: Verified, count: int, scratch: Path, files: tuple[str, ...], workers: int | None
) -> list[Compared]:
    """What the sampled runs came to; the check is added to what was found."""
    from ganbench.engine import settings
    from ganbench.plugins import discover
    from ganbench.sharing.retrain import retrain
    from ganbench.sharing.verify import Check

    if not found.ok:
        found.checks.append(Check("retrained", None, "not tried, for it is wrong already"))
        return []
    catalogue = discover(files)
    chosen = settings(None, "auto", workers, catalogue)
    check, compared = retrain(found, count, scratch, catalogue, chosen, files)
    found.checks.append(check)
    return compared


def _show(found: Verified, compared: list[Compared]) -> None:
    from ganbench.suite_file import printable

    click.echo(printable(f"archive {found.archive}: {found.manifest.get('suite')}"))
    click.echo(f"digest  {found.digest}")
    for check in found.checks:
        sign, colour = SIGNS[check.ok]
        click.echo(f"{click.style(f'{sign:<7}', colour)} {check.name:<10} {printable(check.detail, 2000)}")
    for one in compared:
        click.echo(printable(f"        {one.label} seed {one.seed}: {one.detail}", 1000))
