"""What measuring costs, as a share of training: `python -m benchmarks.speed.measuring --help`.

Probes are timed against the same engine without them, in turn; evaluations are timed in real runs of shipped
suites, by the suites' own schedules, over fewer steps where a whole run would take hours.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import ganbench
from benchmarks.speed.cases import CASES
from benchmarks.speed.machine import ROOT, describe
from benchmarks.speed.measure import Effort, ProbeCost, probe_cost
from benchmarks.speed.sides import Bench
from benchmarks.speed.table import grid
from ganbench.errors import BadInput, nearest
from ganbench.plugins import discover
from ganbench.suite import load_suite

PROBES_LIMIT, EVALUATION_LIMIT = 0.05, 0.15
SUITES = {"quickstart": ("mlp-2x32", None, None), "mnist": ("dcgan-28", 100, 1)}
"""Suite -> the case with its nets, and the steps and seeds that are trained of it (None: its own)."""


@dataclass(frozen=True)
class EvaluationCost:
    """What a variant's evaluations cost.

    Arguments:
        step, evaluation: seconds of a step and of an evaluation, of one run.
        share: seconds of all evaluations of its whole schedule over those of all its steps.
    """

    suite: str
    variant: str
    step: float
    evaluation: float
    share: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write. Returns the exit code: 2 for bad input."""
    options = _parser().parse_args(arguments)
    names = options.suites.split(",")
    for name in names:
        if name not in SUITES:
            print(BadInput(f"--suites: unknown suite {name!r}; {nearest(name, SUITES)}"), file=sys.stderr)
            return 2
    torch.set_num_threads(1)
    effort = Effort(rounds=1, seconds=0.0) if options.quick else Effort(rounds=15)
    probes = [_probes(SUITES[name][0], effort, not options.quick) for name in names]
    costs = [cost for name in names for cost in evaluations(name, options.quick)]
    quick = " --quick" if options.quick else ""
    text = page(probes, costs, f"python -m benchmarks.speed.measuring --suites {options.suites}{quick}")
    options.out.write_text(text, encoding="utf-8")
    print(text + "written:", options.out)
    return 0


def evaluations(name: str, quick: bool = False) -> Iterator[EvaluationCost]:
    """Every variant of a shipped suite, trained on one core."""
    path = ROOT / "benchmarks" / f"{name}.toml"
    _, steps, seeds = SUITES[name] if not quick else ("", 20, 1)
    shorter = [f"--steps={steps}"] * bool(steps) + [f"--seeds={seeds}"] * bool(seeds)
    with tempfile.TemporaryDirectory() as folder:
        command = ["run", str(path), "--workers", "1", "--device", "cpu", "--out", folder, *shorter]
        subprocess.run(
            [sys.executable, "-c", "from ganbench.cli import main; main()", *command],
            check=True,
            stdout=sys.stderr,
        )
        results = ganbench.load(folder)
    whole = {variant.label: variant.config for variant in load_suite(path, discover()).variants}
    measured = results.evaluations.groupby("variant", observed=True)["step"].nunique()
    for variant, runs in results.runs.groupby("variant", observed=True, sort=False):
        config = whole[str(variant)]
        step = runs["seconds"].mean() / int(runs["steps"].iloc[0])
        evaluation = runs["evaluation_seconds"].mean() / int(measured[variant])
        count = 1 + -(-config["steps"] // config["evaluate"]["every"])  # the first is before training
        share = count * evaluation / (config["steps"] * step)
        yield EvaluationCost(name, str(variant), step, evaluation, share)


def page(probes: Sequence[ProbeCost], costs: Sequence[EvaluationCost], command: str) -> str:
    """Both tables as Markdown."""
    return (
        "\n\n".join(
            [
                "# What measuring costs, as a share of training",
                f"Made by `{command}`.",
                grid(("machine", ""), describe(torch.device("cpu")).items()),
                "## Probes\n\nA step with all probes over the same step without, timed in turn: medians over "
                f"rounds, with the extremes in brackets. At most {PROBES_LIMIT:.0%} is asked for.",
                grid(("case", "way", "runs", "extra time"), map(_probe_row, probes)),
                "## Evaluations\n\nBy each suite's own schedule, sample sheets included; compilation "
                f"counts as training. At most {EVALUATION_LIMIT:.0%} is asked for.",
                grid(("suite", "variant", "ms a step", "ms an evaluation", "share"), map(_cost_row, costs)),
            ]
        )
        + "\n"
    )


def _probes(case: str, effort: Effort, compiled: bool) -> ProbeCost:
    return probe_cost(Bench(CASES[case], discover(), torch.device("cpu"), compiled=compiled), effort)


def _probe_row(row: ProbeCost) -> tuple[str, ...]:
    cost = f"{row.cost.median:+.1%} ({row.cost.low:+.1%} to {row.cost.high:+.1%})"
    return row.case, row.way, str(row.runs), cost


def _cost_row(row: EvaluationCost) -> tuple[str, ...]:
    return row.suite, row.variant, f"{1e3 * row.step:.3g}", f"{1e3 * row.evaluation:.3g}", f"{row.share:.1%}"


def _parser() -> argparse.ArgumentParser:
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("benchmarks.speed.measuring", description=description)
    parser.add_argument("--suites", default=",".join(SUITES), help="comma-separated, of: %(default)s")
    out = ROOT / "results" / "speed" / "cpu-measuring.md"
    parser.add_argument("--out", type=Path, default=out, help="file to write")
    parser.add_argument("--quick", action="store_true", help="a few steps, to test the benchmark itself")
    return parser


if __name__ == "__main__":
    sys.exit(main())
