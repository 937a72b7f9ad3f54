"""LaTeX tables compile, whatever names hold."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from made_results import make
from running import ganbench_here

HOSTILE = ["plain", "r1_%$#&{}~^\\", "<script>", "ümläut", "100% of _it_"]
PAGE = """\\documentclass{article}
\\usepackage[T1]{fontenc}
\\usepackage{booktabs,textcomp}
\\begin{document}
%s
\\end{document}
"""


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no pdflatex")
def test_tables_compile(tmp_path: Path) -> None:
    folder = make(tmp_path / "made", variants=HOSTILE, seeds=5)
    compared = ganbench_here("compare", str(folder), "--format", "latex")
    figure = tmp_path / "rates.tex"
    ganbench_here("figure", "failure-rates", str(folder), "-o", str(figure))
    page = tmp_path / "page.tex"
    page.write_text(PAGE % (compared.out + figure.read_text("utf-8")), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", page.name],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode("latin-1")[-3000:]
    assert page.with_suffix(".pdf").stat().st_size > 5000
