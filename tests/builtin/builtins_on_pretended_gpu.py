"""Every built-in component trains, evaluates, draws sheets, stops and resumes on a pretended GPU.

`test_without_gpu.py` runs these tests. By default a selection of each kind, all of them among the slow ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest import mock

import pytest
from data_files import npz, pixels, save
from pretended_gpu import pretended_gpu
from run_cli import InlinePool, assert_same_rows, ganbench_here, rows
from small_suites import small_suite
from test_file_datasets import classes_of_images
from test_published_datasets import cifar_files, idx_files, svhn_files
from test_stacks import LOSSES, MODELS, TECHNIQUES, homes, plain_loss, program, world  # noqa: F401

import ganbench
from ganbench.components.optimizers import OPTIMIZERS
from ganbench.engine import data as engine_data
from ganbench.errors import BadInput
from ganbench.storage.stack_folder import stack_folders
from ganbench_builtin import datasets, metrics

pytestmark = pytest.mark.usefixtures("without_page")

QUICK = {
    "model": ["mlp-gan", "mlp-vae"],
    "loss": ["hinge"],
    "technique": ["spectral-norm"],
    "dataset": ["digits"],
    "optimizer": ["adamw"],
}
"""What is tried by default."""


class StoppingPool(InlinePool):
    stops = True


def of(kind: str, names: Iterable[str]) -> list:
    """The names as parameters, slow where the default tests leave them out."""
    return [pytest.param(name, marks=[] if name in QUICK[kind] else pytest.mark.slow) for name in names]


def train(folder: Path, text: str, *arguments: object, pool: type = InlinePool) -> Path:
    """The results of a suite on the pretended GPU, where only the eager map works."""
    suite, out = folder / "suite.toml", folder / "out"
    folder.mkdir(exist_ok=True)
    suite.write_text(text)
    with pretended_gpu():
        done = ganbench_here(
            *("run", suite, "--out", out, "--device", "cuda", "--engine", "eager", *arguments), pool=pool
        )
    if pool is InlinePool:
        assert done.code == 0, done.out + done.err
        assert set(ganbench.load(out).runs["outcome"]).isdisjoint({"crashed", "incompatible"})
        for config in out.glob("stacks/*/config.json"):
            engine = json.loads(config.read_text())["engine"]
            assert (engine["mapper"], engine["device"], engine.get("why")) == ("map", "cuda", None)
    return out


def stop_and_resume(folder: Path, text: str) -> Path:
    """The results of a suite that was stopped in the middle, and trained to its end then."""
    out = train(folder, text, pool=StoppingPool)
    states = [json.loads(path.read_text()) for path in out.glob("stacks/*/status.json")]
    assert [(status["state"], status["step"]) for status in states] == [("training", 2)] * len(states)
    assert states
    return train(folder, text)


@pytest.mark.parametrize("model", of("model", MODELS))
def test_every_model(tmp_path, model):
    recipe = tuple(MODELS[model].recipe.get("techniques", ()))
    out = stop_and_resume(tmp_path, small_suite(model, techniques=recipe))
    drawn = [folder.sheets() for folder in stack_folders(out)]
    assert all(drawn) if model != "dirac-gan" else not any(drawn)


@pytest.mark.parametrize("loss", of("loss", LOSSES))
def test_every_loss(tmp_path, loss):
    model = "mlp-gan" if LOSSES[loss].family == "adversarial" else "mlp-vae"
    train(tmp_path, small_suite(model, loss))


@pytest.mark.parametrize(
    "model", ["mlp-gan", *(pytest.param(m, marks=pytest.mark.slow) for m in ("mlp-vae", "dcgan"))]
)
@pytest.mark.parametrize("technique", of("technique", TECHNIQUES))
def test_every_technique(tmp_path, world, technique, model):  # noqa: F811
    names = (*TECHNIQUES[technique].requires, technique)
    if model not in homes(technique):
        pytest.skip("it does not fit")
    try:
        program(world, model, plain_loss(model), names)[0].draws()
    except BadInput:
        pytest.skip("it wants images")
    stop_and_resume(tmp_path, small_suite(model, techniques=names))


@pytest.mark.parametrize("name", of("optimizer", OPTIMIZERS))
def test_every_optimizer_and_swept_values(tmp_path, name):
    swept = {"name": name, "lr": {"sweep": [1e-3, 2e-3]}}
    train(tmp_path, small_suite("mlp-gan", optimizer=swept))


def test_stopped_and_resumed_is_undisturbed(tmp_path):
    text = small_suite("mlp-gan", techniques=["ema", "lookahead"], metrics=["modes"])
    whole, resumed = train(tmp_path / "whole", text), stop_and_resume(tmp_path / "resumed", text)
    assert_same_rows(rows(whole), rows(resumed))


@pytest.mark.parametrize("model", of("model", ["mlp-gan", "cgan", "cyclegan", "gaugan"]))
def test_tables_that_do_not_fit_are_streamed(tmp_path, model):
    with mock.patch.object(engine_data, "RESIDENT_SHARE", 0.0):
        train(tmp_path, small_suite(model))


# -- metrics, each where it can be taken

HOMES = {
    ("dirac-gan", "point"): ["distance", "jacobian-eigenvalues", "duality-gap", "path-angle"],
    ("mlp-gan", "ring"): [
        *("modes", "energy-distance", "sliced-wasserstein", "discriminator-gap"),
        *("generator-conditioning", "singular-values", "variance-ratio"),
    ],
    ("mlp-gan", "digits"): [
        *("fid", "kid", "precision-recall", "density-coverage", "inception-score", "vendi", "diversity"),
        *("ndb", "birthday"),
    ],
    ("mlp-vae", "digits"): [
        *("active-units", "decoder-variance", "mutual-information", "nll", "posterior-width"),
        "rate-distortion",
    ],
    ("cgan", "digits"): ["label-agreement"],
    ("stacked-dcgan-small", "stacked-digits"): ["stacked-modes"],
    ("cyclegan", "digits-translation"): ["translation-agreement", "cycle-error"],
    ("gaugan", "digits-maps"): ["map-iou"],
}
"""(model, data) -> the metrics that are taken there."""


def test_every_metric_has_a_home():
    assert sorted(name for names in HOMES.values() for name in names) == sorted(m.name for m in metrics.ALL)


@pytest.mark.parametrize(
    "home",
    [pytest.param(h, marks=[] if h[1] == "ring" else pytest.mark.slow, id="-".join(h)) for h in HOMES],
)
def test_every_metric(tmp_path, home):
    model, dataset = home
    out = train(tmp_path, small_suite(model, dataset=dataset, metrics=HOMES[home]))
    values = {value for cls in metrics.ALL if cls.name in HOMES[home] for value in cls.values}
    assert set(ganbench.load(out).evaluations["metric"]) == values


# -- data sets, those of files from small files


def _images(root: Path) -> dict[str, object]:
    return {"root": str(classes_of_images(root / "images", {"a": 20, "b": 20})), "size": 16}


def _arrays(root: Path) -> dict[str, object]:
    root.mkdir()
    return {"file": str(npz(root / "points.npz", train=pixels(50, 2) / 255))}


def _maps(root: Path) -> dict[str, object]:
    for number in range(30):
        save(root / "maps" / "images" / f"{number:02}.png", pixels(16, 16, 3))
        save(root / "maps" / "maps" / f"{number:02}.png", pixels(16, 16, below=2))
    return {"root": str(root / "maps"), "size": 16}


def _domains(root: Path) -> dict[str, object]:
    parts = {"source": "trainA", "target": "trainB", "test_source": "testA", "test_target": "testB"}
    for folder in parts.values():
        classes_of_images(root / folder, {"a": 20})
    return {option: str(root / folder) for option, folder in parts.items()} | {"size": 16}


def _idx(original: str, **options: object) -> Callable[[Path], dict[str, object]]:
    def write(root: Path) -> dict[str, object]:
        idx_files(root / original / "raw")
        return {"root": str(root), **options}

    return write


def _cifar(name: str) -> Callable[[Path], dict[str, object]]:
    def write(root: Path) -> dict[str, object]:
        cifar_files(root, name, "binary", packed=False)
        return {"root": str(root)}

    return write


def _svhn(root: Path) -> dict[str, object]:
    svhn_files(root)
    return {"root": str(root)}


FILES: dict[str, Callable[[Path], dict[str, object]]] = {
    "arrays": _arrays,
    "image-folder": _images,
    "map-folders": _maps,
    "unpaired-folders": _domains,
    "mnist": _idx("MNIST"),
    "stacked-mnist": _idx("MNIST", count=100),
    "fashion-mnist": _idx("FashionMNIST"),
    "kmnist": _idx("KMNIST"),
    "cifar-10": _cifar("cifar-10"),
    "cifar-100": _cifar("cifar-100"),
    "svhn": _svhn,
}
"""Data set -> writes its files below a folder and gives the options that find them."""


@pytest.mark.parametrize("name", of("dataset", [cls.name for cls in datasets.ALL]))
def test_every_data_set(tmp_path, monkeypatch, name):
    monkeypatch.setenv("GANBENCH_CACHE", str(tmp_path / "cache"))
    options = {name: FILES[name](tmp_path / "files")} if name in FILES else {}
    train(tmp_path, small_suite("mlp-gan", dataset=name, options=options))
