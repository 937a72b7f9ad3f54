"""The benchmark for a GPU: its steps, limits, files and page, as far as a CPU can try them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import jax_loop, table
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.measures import MAP, MEASURES
from benchmarks.gpu.rows import BitsRow, Failed, MemoryRow, Row, SuiteRow, read, write
from benchmarks.gpu.setting import SETTINGS
from benchmarks.gpu.steps import End, Ended, Step, steps, take
from benchmarks.speed.cases import CASES
from benchmarks.speed.interleaved import Spread
from benchmarks.speed.sides import Bench
from benchmarks.speed.throughput import Throughput
from ganbench.plugins.discovery import discover
from ganbench.suites.load import load_suite

ROOT = Path(__file__).parents[2]
SPREAD = Spread(2.0, 1.0, 3.0)
ROWS: list[Row] = [
    Throughput("mlp-2x32-r1", "vmap cuda-graph", 1024, 9.5, SPREAD, SPREAD, SPREAD),
    SuiteRow("map", ["--steps", "2000"], 2048, 2000, 60.0, 0, {"finished": 2048}, {"cuda-graph": 2048}),
    MemoryRow("mlp-gan, r1", "cuda-graph", 64, 2_000_000, 1_000_000),
    BitsRow("mlp-gan, r1", "cuda-graph", True),
    Failed("JAX", "is not installed"),
]


def python(name: str, code: str, limit: float = 60, printed: bool = True) -> Step:
    return Step(name, limit, f"{name}.txt", (sys.executable, "-c", code), printed)


@pytest.mark.slow
def test_a_step_that_fails_or_hangs_leaves_the_others(tmp_path):
    planned = [
        python("hangs", "import time; print('begun', flush=True); time.sleep(1000)", limit=8),
        python("fails", "raise SystemExit('no kernel')"),
        python("works", "print('measured')"),
    ]
    ended = list(take(planned, tmp_path, 1000, lambda text: None))
    assert [one.end for one in ended] == [End.STOPPED, End.FAILED, End.DONE]
    assert (tmp_path / "hangs.txt").read_text() == "begun\n", "what was printed before is kept"
    assert "no kernel" in (tmp_path / "fails.log").read_text()
    assert (tmp_path / "works.txt").read_text() == "measured\n"


def test_what_no_time_is_left_for_is_skipped(tmp_path):
    said: list[str] = []
    planned = [python("first", "pass"), python("second", "pass")]
    ended = list(take(planned, tmp_path, 1.0, said.append))
    assert [one.end for one in ended] == [End.SKIPPED, End.SKIPPED]
    assert said == ["first: skipped: no time was left (0 s)", "second: skipped: no time was left (0 s)"]


@pytest.mark.slow
def test_the_total_shortens_limits(tmp_path):
    begun = time.monotonic()
    [ended] = take([python("hangs", "import time; time.sleep(1000)", 900)], tmp_path, 6.0, lambda text: None)
    assert ended.end == End.STOPPED
    assert ended.limit <= 6.0
    assert time.monotonic() - begun < 300


def test_rows_survive_a_measurement_that_breaks_off(tmp_path):
    def broken() -> Iterator[Row]:
        yield from ROWS
        raise KeyboardInterrupt

    path = tmp_path / "rows.json"
    with pytest.raises(KeyboardInterrupt):
        write(path, broken())
    assert read(path) == ROWS
    assert read(tmp_path / "none.json") == []


def test_the_page_says_what_is_missing(tmp_path):
    write(tmp_path / "rings.json", [ROWS[0], ROWS[4]])
    write(tmp_path / "map.json", [ROWS[1]])
    write(tmp_path / "memory.json", [ROWS[2]])
    write(tmp_path / "bits.json", [ROWS[3]])
    found = {"ok": True, "way": "cuda-graph", "advice": [{"text": "no Triton", "stops": False}]}
    (tmp_path / "doctor.json").write_text(json.dumps(found))
    (tmp_path / "tests.xml").write_text(
        '<testsuites><testsuite tests="3" failures="1" errors="0" skipped="1">'
        '<testcase classname="a.b" name="c"><failure/></testcase></testsuite></testsuites>'
    )
    ended = [Ended("rings", End.DONE, 50.0, 100.0), Ended("images", End.SKIPPED, 0.0, 0.0)]
    page = table.page(tmp_path, "Speed on a card", {"torch": "2.14"}, ended)
    for part in (
        "| mlp-2x32-r1 | vmap cuda-graph | 1,024 | 2 | 2 | 2.00 (1.00 to 3.00) | 9.5 |",
        "* JAX: is not installed",
        "| map | `--steps 2000` | 2,048 | 60.0 | 68,267 | 0 | 2,048 finished | 2,048 cuda-graph |",
        "| mlp-gan, r1 | cuda-graph | 64 | 2.0 MB | 1.0 MB |",
        "| mlp-gan, r1 | cuda-graph | equal |  |",
        "the way taken is `cuda-graph`.\n\n* no Triton",
        "tests: 3, failures: 1, errors: 0, skipped: 1\n* a.b.c",
        "| images | skipped: no time was left | 0 | 0 |",
        "## Convolutional GANs by each way\n\nNot measured.",
    ):
        assert part in page


def test_a_page_of_no_files(tmp_path):
    page = table.page(tmp_path, "Speed", {}, [])
    assert page.count("Not measured.") == 6
    assert "Not run to the end." in page


def test_every_measure_is_a_step():
    names = [step.name for step in steps(Path(), "full", "cuda")]
    assert set(MEASURES) | {"doctor", "tests"} == set(names)
    assert len(names) == len(set(names))


def test_the_tests_are_those_that_need_a_gpu():
    [step] = [step for step in steps(Path(), "full", "cuda") if step.name == "tests"]
    files = {Path(word).name for word in step.command if word.endswith(".py")}
    assert {"test_executors.py", "test_speed.py", "test_on_gpu.py"} <= files
    assert "test_text.py" not in files


def test_the_map_is_of_2048_runs():
    assert tomllib.loads(MAP.read_text())["name"] == "map"
    suite = load_suite(MAP, discover())
    assert len(suite.variants) * len(suite.seeds) == 2048


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pretend", "--steps", "ring"), "--steps: unknown step 'ring'; did you mean 'rings'?"),
        ((), "there is no GPU that torch can use; --pretend tries the benchmark on the CPU"),
    ],
)
def test_bad_options(capsys, monkeypatch, options, message):
    monkeypatch.setattr("benchmarks.gpu.__main__.cards", lambda: ())
    assert main(options) == 2
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.slow
def test_all_of_it_runs_on_a_pretended_gpu(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--pretend", "--out", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    folder = tmp_path / "gpu-pretended"
    assert done.returncode == 0, done.stderr + "".join(
        log.read_text()[-2000:] for log in folder.glob("*.log")
    )
    ended = json.loads((folder / "steps.json").read_text())["steps"]
    assert [one["end"] for one in ended] == ["done"] * 8
    rows = [row for name in MEASURES for row in read(folder / f"{name}.json")]
    assert [row for row in rows if isinstance(row, Failed) and row.what != "JAX"] == []
    suites = [row for row in rows if isinstance(row, SuiteRow)]
    assert [(row.suite, row.code) for row in suites] == [("quickstart", 0), ("map", 0)]
    setting = SETTINGS["pretended"]
    images = [row for row in rows if isinstance(row, Throughput) and row.case.endswith("-32")]
    assert len(images) == len(setting.images) * len(setting.image_counts) * len(setting.image_ways)
    page = (tmp_path / "gpu-pretended.md").read_text()
    assert "A pretended GPU: these figures mean nothing" in page
    assert "Not measured." not in page


def test_jax_trains_as_the_hand_written_loop() -> None:
    jax = pytest.importorskip("jax")
    bench = Bench(CASES["mlp-2x32-r1"], discover(), torch.device("cpu"), compiled=False)
    by_hand = bench.hand_written()
    nets = bench.fresh(0)
    loop = jax_loop.JaxLoop(nets, bench.data.train, bench.case.batch, bench.case.r1, 1)
    run = jax_loop.begin(*(jax_loop.weights_of(nets[name]) for name in ("generator", "discriminator")))
    step = jax.jit(loop.step)
    for _ in range(5):
        index, noise, generator_noise = by_hand.next_index(), by_hand.noise(), by_hand.noise()
        real = bench.data.train[index]
        run = step(run, *(jax.numpy.asarray(t.numpy()) for t in (real, noise, generator_noise)))
        by_hand.step(index, noise, generator_noise)
    for name, weights in (("generator", run.generator), ("discriminator", run.discriminator)):
        reached = jax_loop.weights_of(getattr(by_hand, name))
        for mine, theirs in zip(jax.tree.leaves(weights), jax.tree.leaves(reached), strict=True):
            assert float(abs(mine - theirs).max()) < 1e-4
