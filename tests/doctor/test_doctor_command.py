"""The command: its table, its JSON, its exit code; and what `ganbench run` asks of a new GPU."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from made_findings import agreement, on_cpu, on_gpu
from run_cli import RING, Done, ganbench_here, ganbench_process, needs_builtins

from ganbench.doctor import first_use
from ganbench.doctor.children import Lost
from ganbench.doctor.examination import Examination
from ganbench.doctor.findings import Way


@pytest.fixture
def doctor(monkeypatch):
    """`ganbench doctor` on a machine with these findings."""

    def run(report, *args: str, columns: int = 120) -> Done:
        monkeypatch.setattr(Examination, "full", lambda self: report)
        return ganbench_here("doctor", *args, columns=columns)

    return run


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("report", [on_cpu(), on_gpu()], ids=["cpu", "cuda"])
def test_the_table_keeps_to_the_terminal(doctor, report, columns):
    done = doctor(report, columns=columns)
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= columns
    assert "way taken" in done.out


def test_a_machine_that_cannot_train_ends_with_1(doctor):
    done = doctor(replace(on_cpu(), ways=(Way("loop", False, 0.0, "it\x1b[2Jdied"),)))
    assert done.code == 1
    assert "no way of training works on this cpu" in done.out
    assert "\x1b[2J" not in done.out


def test_a_folder_that_cannot_be_written(doctor, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANBENCH_CACHE", "/proc/none")
    done = doctor(on_cpu())
    assert done.code == 0, "a cache only saves time"
    assert "/proc/none cannot be written" in done.out
    (tmp_path / "results").touch()
    assert doctor(on_cpu()).code == 1


def test_json(doctor):
    done = doctor(replace(on_cpu(), ways=(Way("loop", False, 0.0, "it died"),)), "--json")
    assert done.code == 1
    found = done.json()
    assert found["ok"] is False
    assert found["way"] is None
    assert found["ways"] == [{"name": "loop", "works": False, "seconds": 0.0, "reason": "it died"}]
    assert found["advice"][0]["stops"] is True


def test_the_quick_part(monkeypatch):
    monkeypatch.setattr(Examination, "quick", lambda self: on_cpu())
    assert ganbench_here("doctor", "--quick").code == 0


@pytest.mark.parametrize(
    ("device", "said"),
    [("gpu", "'gpu' is not one of 'cpu', 'cuda'"), ("cuda", "no CUDA device is available on this machine")],
)
def test_another_device_is_bad_input(monkeypatch, device, said):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    done = ganbench_here("doctor", "--device", device)
    assert done.code == 2
    assert said in done.err


@needs_builtins
@pytest.mark.slow
def test_this_machine(tmp_path):
    options = ("--json", "--device", "cpu", "--timeout", "600")  # it compiles five times
    done = ganbench_process("doctor", *options, cwd=tmp_path, timeout=1700)
    assert done.code == 0, done.err
    found = done.json()
    assert {way["name"]: way["works"] for way in found["ways"]}["loop"]
    assert all(one["difference"] < one["tolerance"] for one in found["agreements"] or [])
    assert [one["equal"] for one in found["repetitions"]] == [True]
    assert {rate["way"] for rate in found["rates"]} >= {"loop"}


# ---- the first use of a GPU


TWO = ["NVIDIA H200", "NVIDIA H200"]


@pytest.fixture
def new_gpu(monkeypatch, tmp_path):
    """GPUs that were not examined yet; the list of examinations that they go through."""
    asked: list[str] = []
    monkeypatch.setenv("GANBENCH_CACHE", str(tmp_path / "cache"))

    def quick(self: Examination):
        asked.append(self.device)
        return on_gpu()

    monkeypatch.setattr(Examination, "quick", quick)
    return asked


def test_a_new_gpu_is_examined_once(new_gpu, capsys):
    found = first_use.first_use(TWO, print)
    assert found == first_use.FirstUse(
        True, "NVIDIA H200: `ganbench run` takes cuda-graph; 2 of 2 comparisons with the CPU's loop agree"
    )
    assert first_use.first_use(TWO, print) is None
    assert new_gpu == ["cuda"]
    assert capsys.readouterr().out == "NVIDIA H200 is new here: it is examined once, for a minute or two\n"


def test_another_card_or_torch_is_examined_anew(new_gpu, monkeypatch):
    first_use.first_use(TWO, print)
    monkeypatch.setattr(first_use.torch, "__version__", "9.9")
    first_use.first_use(TWO, print)
    assert first_use.first_use(["NVIDIA T4"], print).summary.startswith("NVIDIA T4: ")
    assert len(new_gpu) == 3


def test_a_verdict_that_was_cut_short_is_made_anew(new_gpu, tmp_path):
    first_use.first_use(TWO, print)
    [kept] = (tmp_path / "cache" / "doctor").iterdir()
    kept.write_text(kept.read_text()[:10])
    assert first_use.first_use(TWO, print) is not None
    assert len(new_gpu) == 2


def test_a_gpu_with_a_fault_is_examined_until_it_is_gone(new_gpu, monkeypatch):
    faulty = replace(on_gpu(), agreements=(agreement(0.5),))
    monkeypatch.setattr(Examination, "quick", lambda self: faulty)
    for _ in range(2):
        found = first_use.first_use(TWO, print)
        assert not found.sound
        assert "dcgan by cuda-graph computes other numbers" in found.summary


def test_numbers_that_could_not_be_compared_are_a_fault(new_gpu, monkeypatch):
    lost = replace(on_gpu(), agreements=Lost("hung", "stopped after 120 s"))
    monkeypatch.setattr(Examination, "quick", lambda self: lost)
    assert (
        "could not be compared with the CPU's: stopped after 120 s" in first_use.first_use(TWO, print).summary
    )
    assert first_use.first_use(TWO, print) is not None


def test_a_read_only_cache_costs_time_only(new_gpu, monkeypatch):
    monkeypatch.setenv("GANBENCH_CACHE", "/proc/none")
    assert first_use.first_use(TWO, print).sound
    assert first_use.first_use(TWO, print).sound
    assert len(new_gpu) == 2


@needs_builtins
def test_a_run_on_a_cpu_asks_nothing(monkeypatch, tmp_path, without_page):
    monkeypatch.setattr(first_use, "first_use", None)
    done = ganbench_here("run", RING, "--device", "cpu", "--steps", "2", "--seeds", "1", "--out", tmp_path)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "suite.lock.json").read_text())["stacks"]
