"""The speed benchmark: its two sides are equal, and it ends in a table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.speed import equal, interleaved, probe_overhead
from benchmarks.speed.__main__ import main
from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.interleaved import Spread, Task
from benchmarks.speed.loop import Captured
from benchmarks.speed.sides import Bench, advance
from benchmarks.speed.table import cuts
from benchmarks.speed.throughput import Throughput
from ganbench.plugins.discovery import Catalogue, discover

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return discover()


def small_dcgan() -> Case:
    return Case("dcgan", {"name": "dcgan", "options": {"width": 4}}, 8, 0.0, True, 0.9, 1, 0.05)


@pytest.mark.parametrize("mapper", ["loop", "vmap"])
@pytest.mark.parametrize(
    "case", [CASES["mlp-2x32"], CASES["mlp-2x32-r1"], small_dcgan()], ids=lambda case: case.name
)
def test_both_sides_train_the_same(catalogue: Catalogue, case: Case, mapper: str) -> None:
    bench = Bench(case, catalogue, CPU, "float64", compiled=False)
    assert equal.difference(bench, bench.engine(2, mapper)) < equal.TOLERANCE


def test_the_check_sees_a_difference(catalogue: Catalogue) -> None:
    bench = Bench(CASES["mlp-2x32-r1"], catalogue, CPU, "float64", compiled=False)
    trainer = Bench(CASES["mlp-2x32"], catalogue, CPU, "float64", compiled=False).engine(1, "loop")
    assert equal.difference(bench, trainer) > 1e-6


@pytest.mark.parametrize("mapper", ["loop", "vmap"])
def test_without_probes_the_weights_are_the_same(catalogue: Catalogue, mapper: str) -> None:
    bench = Bench(CASES["mlp-2x32"], catalogue, CPU, "float64", compiled=False)
    both = [bench.engine(2, mapper, probes=probes) for probes in (True, False)]
    for trainer in both:
        advance(trainer, 5)
    for player, measured in both[0].state().joint.items():
        torch.testing.assert_close(both[1].state().joint[player], measured, rtol=0, atol=1e-12)
    assert len(both[1].program.columns) == 1


def test_the_hand_written_loop_sees_every_sample_once_an_epoch(catalogue: Catalogue) -> None:
    bench = Bench(small_dcgan(), catalogue, CPU)
    loop = bench.hand_written()
    seen = torch.cat([loop.next_index() for _ in range(len(bench.data.train) // loop.batch)])
    assert len(seen.unique()) == len(seen) == len(bench.data.train)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_captured_loop_trains_as_the_plain_one(catalogue: Catalogue) -> None:
    bench = Bench(CASES["mlp-2x32-r1"], catalogue, torch.device("cuda"))
    assert equal.check(bench) < equal.TOLERANCE
    loop = bench.hand_written(capturable=True)
    captured = Captured(loop)
    before = [weight.clone() for weight in loop.generator.parameters()]
    captured.run(3)
    for old, weight in zip(before, loop.generator.parameters(), strict=True):
        assert weight.isfinite().all()
        assert not torch.equal(old, weight)


def test_rounds_interleave() -> None:
    order: list[str] = []
    tasks = [Task(lambda n, name=name: order.append(name)) for name in "ab"]
    rates = interleaved.rounds(tasks, count=3, seconds=0.0)
    assert order[-6:] == list("ababab")
    assert [len(rate) for rate in rates] == [3, 3]


def test_cutting_takes_the_best_stack_that_divides() -> None:
    def row(runs: int, ratio: float) -> Throughput:
        spread = Spread(ratio, ratio, ratio)
        return Throughput("mlp-2x128", "vmap compiled", runs, 1.0, spread, spread, spread)

    rows = cuts([row(1, 2.0), row(2, 3.0), row(4, 1.0)])
    assert rows == [
        ("mlp-2x128", "1", "2.00", "2.00", "1"),
        ("mlp-2x128", "2", "3.00", "3.00", "2"),
        ("mlp-2x128", "4", "1.00", "3.00", "2"),
    ]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_command_writes_its_tables(tmp_path: Path) -> None:
    done = command("--quick", "--device", "cpu", "--cases", "mlp-2x32-r1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "cpu.json").read_text())
    assert {row["runs"] for row in written["throughputs"]} == {1, 2}
    assert all(row["ratio"]["low"] > 0 for row in written["throughputs"])
    assert written["differences"]["mlp-2x32-r1"] < equal.TOLERANCE
    assert written["machine"]["torch"] == torch.__version__
    table = (tmp_path / "cpu.md").read_text()
    assert "--quick" in table
    assert "mlp-2x32-r1 | loop" in table


def test_shares_of_measuring_weigh_stacks_by_their_time() -> None:
    quick = probe_overhead.Row(
        "quick", "map", 5, step=1e-3, bare=0.9e-3, evaluation=0.1, steps=1000, evaluations=2
    )
    slow = probe_overhead.Row(
        "slow", "loop", 1, step=9e-3, bare=9e-3, evaluation=0.1, steps=1000, evaluations=3
    )
    assert quick.probes == pytest.approx(0.1)
    assert quick.measuring == pytest.approx(0.2)
    assert probe_overhead.shares([quick, slow]) == pytest.approx({"probes": 0.01, "evaluations": 0.05})
    text = probe_overhead.section("both", [quick, slow])
    assert "| probes | 1.0% | 5% | yes |" in text
    assert "| slow | 1 by loop | 9 | +0.0% | 100 | 3.3% |" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cases", "mlp-2x33"), "--cases: unknown case 'mlp-2x33'; did you mean 'mlp-2x32'?"),
        (("--threads", "0"), "--threads: 0 is not a number of threads; choose 1 or more"),
        (("--device", "tpu"), "--device: 'tpu' is not here; choose cpu"),
    ],
)
def test_bad_options_are_told(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert main(options) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(message)
