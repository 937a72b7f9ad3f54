"""The page on porting, taken literally: its model passes the checks and trains with techniques that fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from blocks import blocks
from run_cli import ganbench_here, needs_builtins
from torch import nn

import ganbench
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench.plugins import discovery
from ganbench.plugins.discovery import Catalogue
from ganbench.suites.load import load_suite

pytestmark = needs_builtins
PAGE = Path(__file__).parents[2] / "docs" / "write" / "port.md"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page."""
    made = tmp_path_factory.mktemp("port")
    for block in blocks(PAGE):
        if block.file:
            (made / block.file).write_text(block.text, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def catalogue(folder: Path) -> Catalogue:
    return discovery.discover([folder / "port.py"])


def techniques() -> list[str]:
    return discovery.discover().names("technique")


def program(folder: Path, catalogue: Catalogue, *names: str) -> Program:
    """The page's suite with some techniques, in double precision."""
    path = folder / f"with-{'-'.join(names) or 'none'}.toml"
    text = (folder / "port.toml").read_text("utf-8").replace('[[], ["r1"]]', json.dumps([list(names)]))
    path.write_text(text.replace("[defaults]", '[defaults]\nprecision = "float64"'), encoding="utf-8")
    [variant] = load_suite(path, catalogue).variants
    data = catalogue.get("dataset", "digits").cls().load(None)
    return Program(variant.config, catalogue, data)


def test_it_has_what_the_page_is_about(folder: Path, catalogue: Catalogue) -> None:
    parts = [part for net in program(folder, catalogue).networks().values() for part in net.modules()]
    for kind in (nn.ConvTranspose2d, nn.Conv2d, ganbench.Dropout):
        assert any(isinstance(part, kind) for part in parts)
    [first, *_] = [part for part in parts if isinstance(part, nn.Conv2d)]
    assert float(first.weight.detach().std()) == pytest.approx(0.02, rel=0.3)
    # torch's own would start at a bound of 1 / 4, a deviation of .14


def test_dropout_acts_and_every_run_has_its_own(folder: Path, catalogue: Catalogue) -> None:
    made = program(folder, catalogue)
    states = [made.initial(seed, {}) for seed in (0, 1)]
    keys = [state.buffers["discriminator"]["2.key"] for state in states]
    assert not torch.equal(*keys)
    trainer = Looped(made, Runs((0, 1), ({}, {})), catalogue.get("dataset", "digits").cls().load(None), CPU)
    trainer.advance(2)
    calls = trainer.state().buffers["discriminator"]["2.calls"]
    assert calls.tolist() == [6, 6]  # real and generated samples on its own turn, generated on the other


@pytest.mark.slow
def test_it_passes_the_kit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = ganbench_here("plugins", "check", "port.py")
    assert done.code == 0, done.out


@pytest.mark.slow
def test_it_runs_and_r1_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = ganbench_here("run", "port.toml", "--engine", "loop")
    assert done.code == 0, done.err
    runs = ganbench.load(folder / "results" / "port").runs
    assert list(runs["outcome"]) == ["finished"] * 4


def reason(folder: Path, catalogue: Catalogue, technique: str) -> str:
    """Why the plan refuses a technique; "" where it does not."""
    try:
        program(folder, catalogue, technique)
    except BadInput as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("technique", techniques())
def test_with_every_technique_that_fits(folder: Path, catalogue: Catalogue, technique: str) -> None:
    needed = catalogue.get("technique", technique).cls.requires
    refused = "" if needed else reason(folder, catalogue, technique)
    if refused:
        assert f"technique '{technique}' does not fit: " in refused
        return
    made = program(folder, catalogue, technique, *needed)
    data, runs = catalogue.get("dataset", "digits").cls().load(None), Runs((0, 1), ({}, {}))
    looped, mapped = Looped(made, runs, data, CPU), Mapped(made, runs, data, CPU, Eager())
    alone, stacked = looped.advance(3), mapped.advance(3)
    assert torch.isfinite(alone).all()
    torch.testing.assert_close(alone, stacked, rtol=1e-7, atol=1e-9)


@pytest.mark.slow
def test_some_fit_and_those_for_other_games_do_not(folder: Path, catalogue: Catalogue) -> None:
    out = {name for name in techniques() if reason(folder, catalogue, name)}
    assert {"kl-annealing", "cyclical-annealing"} <= out
    assert not out & {"r1", "spectral-norm", "diff-augment", "ema", "consensus", "packing"}
