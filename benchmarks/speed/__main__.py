"""The command."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.speed import equal, throughput
from benchmarks.speed.cases import CASES
from benchmarks.speed.machine import ROOT, describe
from benchmarks.speed.sides import Bench
from benchmarks.speed.table import Results
from benchmarks.speed.throughput import Effort
from ganbench.errors import BadInput, nearest
from ganbench.plugins.discovery import discover

QUICK = Effort(rounds=2, seconds=0.0, single_rounds=1, single_steps=64)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write. Returns the exit code: 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        names = _cases(options.cases)
        device = _device(options.device)
        _use_threads(options.threads)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    results = Results(describe(device), _command(device, names, options.threads, options.quick))
    with _cold_cache():
        for name in names:
            _measure(name, device, options.quick, results)
            files = results.write(options.out / device.type)  # after every case: nothing measured is lost
    print(results.markdown())
    print("written:", *files)
    return 0


def _measure(name: str, device: torch.device, quick: bool, results: Results) -> None:
    """One case: equality first, then the figures. Quick ones compile nothing and mean nothing."""
    effort = QUICK if quick else Effort()
    bench = Bench(CASES[name], discover(), device, compiled=not quick)
    _say(f"{name}: both sides equal?")
    results.differences[name] = equal.check(bench)
    for runs, mapper in throughput.sizes(bench):
        if quick and runs > 2:
            continue
        _say(f"{name}: {runs} runs {mapper}")
        results.throughputs.append(throughput.throughput(bench, runs, effort, mapper))
    if device.type == "cuda":
        results.throughputs.append(throughput.captured(bench, effort))
    if not bench.case.convolutional:
        _say(f"{name}: a single run")
        results.singles.append(throughput.single(bench, effort))
    _say(f"{name}: probes")
    results.probes.append(throughput.probe_cost(bench, effort))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("benchmarks.speed", description=sys.modules["benchmarks.speed"].__doc__)
    parser.add_argument("--device", default="auto", help="cpu, cuda, or auto: CUDA where there is one")
    parser.add_argument("--cases", default=",".join(CASES), help="comma-separated, of: %(default)s")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "speed", help="folder of the tables")
    parser.add_argument("--threads", type=int, default=1, help="of both sides on a CPU (default 1)")
    parser.add_argument("--quick", action="store_true", help="uncompiled, to test the benchmark itself")
    return parser


def _command(device: torch.device, names: Sequence[str], threads: int, quick: bool) -> str:
    """What to type for the same measurement."""
    words = ["--device", device.type, "--cases", ",".join(names), "--threads", str(threads)]
    return " ".join(["python -m benchmarks.speed", *words, *["--quick"] * quick])


def _use_threads(count: int) -> None:
    if count < 1:
        raise BadInput(f"--threads: {count} is not a number of threads; choose 1 or more")
    torch.set_num_threads(count)


def _cases(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in CASES:
            raise BadInput(f"--cases: unknown case {name!r}; {nearest(name, CASES)}")
    return names


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        here = "cpu or cuda" if torch.cuda.is_available() else "cpu"
        raise BadInput(f"--device: {name!r} is not here; choose {here}")
    return torch.device(name)


@contextmanager
def _cold_cache() -> Iterator[None]:
    """Compile from nothing, unless the environment names a cache to keep."""
    name = "TORCHINDUCTOR_CACHE_DIR"
    if name in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ[name] = folder
        try:
            yield
        finally:
            del os.environ[name]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
