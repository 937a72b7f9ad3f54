"""Draw the README's picture: `python docs/picture.py results/quickstart docs/quickstart.svg`."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

import ganbench
from ganbench.report import summary_table

WIDTH = 156


def main(folder: str, target: str) -> None:
    """Write the summary of the results in `folder` as an SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(summary_table(ganbench.load(folder).summary(), WIDTH))
    drawn = console.export_svg(title="ganbench run quickstart", theme=SVG_EXPORT_THEME)
    # it asks a font server for its font: the reader's own monospaced one does as well
    own = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    Path(target).write_text(own.replace("Fira Code", "monospace"), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
