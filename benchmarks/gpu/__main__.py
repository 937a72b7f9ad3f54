"""The command."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.gpu import table
from benchmarks.gpu.setting import SETTINGS
from benchmarks.gpu.steps import End, steps, take
from benchmarks.speed.machine import ROOT, describe
from ganbench.doctor.cards import cards
from ganbench.errors import BadInput, nearest
from ganbench.storage.atomic import write_json
from ganbench.text import slug

MINUTES = 8.0
PATIENCE = 60.0
"""How many times as long everything may take where a GPU is pretended: nothing is measured there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write. Returns the exit code: 0 all steps are done, 1 some are not, 2 bad input."""
    given = _parser().parse_args(arguments)
    try:
        name = _card(given.pretend)
        only = _only(given.steps)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    out = given.out or (
        Path(tempfile.mkdtemp(prefix="gpu-")) if given.pretend else ROOT / "results" / "speed"
    )
    return _measure(name, only, out.resolve(), given.minutes, given.pretend)


def _measure(name: str, only: Sequence[str], out: Path, minutes: float, pretend: bool) -> int:
    """Take the steps; the page is written after each."""
    setting = "pretended" if pretend else "full"
    device = SETTINGS[setting].device
    stretch = PATIENCE if pretend else 1.0
    folder = out / f"gpu-{slug(name)}"
    folder.mkdir(parents=True, exist_ok=True)
    machine = describe(torch.device("cpu")) | {"device": name}  # asked without taking memory on the GPU
    planned = [step for step in steps(folder, setting, device, stretch) if step.name in only]
    for step in planned:
        (folder / step.file).unlink(missing_ok=True)  # of an earlier commit or driver, perhaps
    page, ended = folder.with_suffix(".md"), []
    title = "A pretended GPU: these figures mean nothing" if pretend else f"Speed on {name}"
    for one in take(planned, folder, 60 * minutes * stretch, _say):
        ended.append(one)
        write_json(folder / "steps.json", {"steps": [asdict(step) for step in ended]})
        page.write_text(table.page(folder, title, machine, ended), encoding="utf-8")
    print("written:", page, folder)
    return int(any(one.end != End.DONE for one in ended))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("benchmarks.gpu", description=sys.modules["benchmarks.gpu"].__doc__)
    names = ",".join(step.name for step in steps(Path(), "full", "cuda"))
    parser.add_argument("--steps", default=names, help="comma-separated, of: %(default)s")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all steps (default %(default)g)")
    parser.add_argument("--out", type=Path, help="folder of page and files (default results/speed)")
    parser.add_argument(
        "--pretend", action="store_true", help="on the CPU, tiny: to test the benchmark itself"
    )
    return parser


def _card(pretend: bool) -> str:
    if pretend:
        return "pretended"
    found = cards()
    if not found or not torch.cuda.is_available():
        raise BadInput("there is no GPU that torch can use; --pretend tries the benchmark on the CPU")
    return found[0]


def _only(text: str) -> list[str]:
    names, known = text.split(","), [step.name for step in steps(Path(), "full", "cuda")]
    for name in names:
        if name not in known:
            raise BadInput(f"--steps: unknown step {name!r}; {nearest(name, known)}")
    return names


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
