"""Draw the README's pictures: `python docs/picture.py results/quickstart docs/quickstart.svg` (or a .png)."""

from __future__ import annotations

import io
import re
import shutil
import sys
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

import ganbench
from ganbench.report import summary_table

WIDTH = 120
"""Characters of the table."""
WINDOW = (1240, 1180)
"""Pixels of the top of the page."""


def main(folder: str, target: str) -> None:
    """Draw what the target's ending says of the results in `folder`."""
    (draw_page if target.endswith(".png") else draw_table)(Path(folder), Path(target))


def draw_table(folder: Path, target: Path) -> None:
    """Write the summary as an SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(summary_table(ganbench.load(folder).summary(), WIDTH))
    drawn = console.export_svg(title="ganbench run quickstart", theme=SVG_EXPORT_THEME)
    # it asks a font server for its font: the reader's own monospaced one does as well
    own = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    target.write_text(own.replace("Fira Code", "monospace"), encoding="utf-8")


def draw_page(folder: Path, target: Path) -> None:
    """Write the top of report.html as a PNG of 256 colours."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WINDOW[0], "height": WINDOW[1]})
        page.goto((folder / "report.html").resolve().as_uri())
        shot = page.screenshot()
        browser.close()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize().save(target, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
