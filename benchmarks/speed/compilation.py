"""What compiling a suite's programs costs, cold and with a warm cache.

python -m benchmarks.speed.compilation [--suite quickstart] [--programs 3] [--runs 20] [--out results/speed]

Processor seconds of Python and of the C++ compiler apart, so that other work on the machine hardly counts.
A process prepares the programs with an empty cache, as a worker does, and another one with what
the first has left. The first program of a machine also pays for what Inductor finds out about the
compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.speed.machine import ROOT, describe
from ganbench.engine.data import Sources
from ganbench.engine.program import Program
from ganbench.engine.trainers import Mapped, Runs
from ganbench.errors import BadInput
from ganbench.executors import Compiled
from ganbench.plugins.discovery import discover
from ganbench.report.tables import markdown_table
from ganbench.suites.load import canonical, find_suite, load_suite, structure

COLUMNS = ("program", "cold: Python", "cold: g++", "warm: Python", "warm: g++")


@dataclass(frozen=True)
class Preparation:
    """One program: processor seconds of this process, and of those that it started."""

    program: str
    python: float
    compiler: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write. Returns the exit code: 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        find_suite(options.suite, discover())
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    if options.child:
        print(json.dumps([asdict(row) for row in prepare(options.suite, options.programs, options.runs)]))
        return 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        cold, warm = (_in_a_process(options, cache) for _ in range(2))
    text = table(cold, warm)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "compilation-cpu.md"
    facts = markdown_table(("machine", ""), list(describe(torch.device("cpu")).items()))
    command = f"python -m benchmarks.speed.compilation --suite {options.suite} --programs {options.programs}"
    made = f"Made by `{command} --runs {options.runs}`. Processor seconds."
    file.write_text(f"# What compiling costs\n\n{made}\n\n{facts}\n\n{text}\n", encoding="utf-8")
    print("written:", file)
    return 0


def prepare(suite: str, programs: int, runs: int) -> list[Preparation]:
    """Prepare the first programs of a suite, one after the other."""
    catalogue = discover()
    sources = Sources(catalogue)
    variants = load_suite(find_suite(suite, catalogue), catalogue).variants
    distinct = {canonical(structure(variant.config, catalogue)[0]): variant for variant in reversed(variants)}
    rows = []
    for variant in list(reversed(distinct.values()))[:programs]:
        data = sources.load(variant.config["dataset"])
        program = Program(variant.config, catalogue, data)
        stack = Runs(tuple(range(runs)), ({},) * runs)
        trainer = Mapped(program, stack, data, torch.device("cpu"), Compiled())
        python, compiler = time.process_time(), _of_children()
        trainer.load_chunk()
        rows.append(
            Preparation(variant.label, time.process_time() - python, _of_children() - compiler),
        )
    return rows


def table(cold: Sequence[Preparation], warm: Sequence[Preparation]) -> str:
    """A row a program."""
    cells = [
        (empty.program, *(f"{x:.1f}" for x in (empty.python, empty.compiler, found.python, found.compiler)))
        for empty, found in zip(cold, warm, strict=True)
    ]
    return markdown_table(COLUMNS, cells)


def _in_a_process(options: argparse.Namespace, cache: str) -> list[Preparation]:
    """As a worker has it: one thread, and this cache."""
    words = ["--suite", options.suite, "--programs", str(options.programs), "--runs", str(options.runs)]
    told = {"TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_COMPILE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.compilation", *words, "--child"],
        env=os.environ | told,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [Preparation(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "benchmarks.speed.compilation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--suite", default="quickstart", help="a suite (default %(default)s)")
    parser.add_argument("--programs", type=int, default=3, help="how many of its programs (default 3)")
    parser.add_argument("--runs", type=int, default=20, help="runs of a stack (default 20)")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "speed", help="folder of the table")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
