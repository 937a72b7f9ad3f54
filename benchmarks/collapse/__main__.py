"""The command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.collapse.battery import Battery
from benchmarks.collapse.page import Part, page
from benchmarks.collapse.subjects import SUBJECTS
from benchmarks.collapse.verdicts import METRICS, judged
from ganbench.cache import cache_folder
from ganbench.errors import BadInput, nearest
from ganbench.plugins.discovery import discover

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write. Returns the exit code: 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        names = _subjects(options.subjects)
        if options.resamples < 2:
            raise BadInput(f"--resamples: {options.resamples} tell no deviation; choose 2 or more")
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    command = f"python -m benchmarks.collapse --subjects {','.join(names)} --resamples {options.resamples}"
    options.out.write_text(
        page([_part(name, options.resamples) for name in names], command), encoding="utf-8"
    )
    print("written:", options.out)
    return 0


def _part(name: str, resamples: int) -> Part:
    print(name, file=sys.stderr, flush=True)
    battery = Battery(SUBJECTS[name](), discover(), cache_folder() / "extractors")
    table = battery.table(resamples)
    return table, judged(battery) if set(METRICS) & set(table.healthy) else []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.collapse", description="Which indicator sees which collapse."
    )
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="comma-separated, of: %(default)s")
    parser.add_argument("--resamples", type=int, default=20, help="healthy evaluations (default 20)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "collapse.md", help="file to write")
    return parser


def _subjects(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in SUBJECTS:
            raise BadInput(f"--subjects: unknown subject {name!r}; {nearest(name, SUBJECTS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
