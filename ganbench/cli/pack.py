"""`ganbench pack`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "path",
    metavar="ARCHIVE",
    type=click.Path(path_type=Path),
    help="The file to write. Default: DIR's name plus .zip, in the current folder.",
)
@click.option(
    "--thin",
    type=click.IntRange(2),
    metavar="STEPS",
    help="Keep only STEPS steps of each trace. Thinned traces cannot be judged again.",
)
@click.option("--sheets", is_flag=True, help="Include the sample sheets.")
@click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Path of a single-file plugin that has moved since the runs were made.",
)
def pack(folder: Path, path: Path | None, thin: int | None, sheets: bool, plugins: tuple[Path, ...]) -> None:
    """Pack the results in DIR into one archive to share.

    It holds rows, thresholds, configurations, environments, versions, checksums and single-file plugins. The
    same rows give the same bytes. `ganbench verify` checks it.
    """
    from ganbench.cli.report import tell_warning
    from ganbench.sharing.pack import pack as pack_folder
    from ganbench.text import size

    packed = pack_folder(folder, path, thin, sheets, plugins)
    for name in packed.left_out:
        tell_warning(f"{name} has not ended and is left out")
    for name in packed.plugins_left_out:
        why = "it moved or changed (pass it with --plugin FILE), or imports other files (make it a package)"
        tell_warning(f"the plugin {name} is left out: {why}")
    if packed.suite_left_out:
        tell_warning(
            "the suite's file is left out: it has moved (suite.lock.json holds the suite as it was run)"
        )
    click.echo(f"archive {packed.path} ({packed.runs} runs, {size(packed.bytes)})")
    click.echo(f"digest  {packed.digest}")
