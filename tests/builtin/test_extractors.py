"""Built-in extractors: what they compute, how they are cached, and what they say when they cannot."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganbench.components.base import create, options_of
from ganbench.components.data import Data
from ganbench.errors import BadInput
from ganbench_builtin.datasets.digits import Digits
from ganbench_builtin.datasets.ring import Ring
from ganbench_builtin.extractors import ALL, _training, classifier
from ganbench_builtin.extractors._cache import load_or_train
from ganbench_builtin.extractors.classifier import Classifier
from ganbench_builtin.extractors.identity import Identity

DIGITS = Digits().load(None)


def images(n: int, side: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 1, side, side), generator=generator, dtype=torch.uint8)


def few(seed: int = 0, side: int = 8) -> Data:
    """A labelled set on which training takes a blink."""
    labels = torch.arange(60) % 3
    return Data(images(60, side, seed), images(9, side, 1), labels, torch.arange(9) % 3, classes=3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trained(cache: Path) -> Any:
    """The classifier of the digits, and what its training did to global state."""
    before = torch.get_rng_state(), torch.get_num_threads()
    found = Classifier().prepare(DIGITS, cache)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    return found


def test_identity_flattens() -> None:
    samples = torch.arange(24.0).reshape(2, 3, 2, 2)
    extract = Identity().prepare(DIGITS, Path("unused"))
    assert torch.equal(extract(samples), torch.arange(24.0).reshape(2, 12))


@pytest.mark.parametrize("cls", ALL)
def test_options_round_trip(cls: type) -> None:
    assert create(cls, options_of(cls())) == cls()


def test_classifier_learns_the_digits(trained: Any, cache: Path) -> None:
    (note,) = cache.glob("classifier-*.json")
    accuracy = json.loads(note.read_bytes())["accuracy"]
    assert accuracy > 0.95
    labels = trained.classify(DIGITS.test.float() / 127.5 - 1)
    assert (labels == DIGITS.test_labels).double().mean().item() == pytest.approx(accuracy)


def test_classifier_gives_64_features(trained: Any) -> None:
    features = trained(DIGITS.test.float() / 127.5 - 1)
    assert features.shape == (355, 64)
    assert not features.requires_grad
    assert torch.linalg.matrix_rank(features.double()) > 32
    assert torch.equal(features, trained(DIGITS.test))  # uint8 images are the same images
    torch.testing.assert_close(trained(DIGITS.test.repeat(4, 1, 1, 1))[-355:], features)  # several chunks
    assert trained(DIGITS.test.double() / 127.5 - 1).dtype == torch.float32


def test_classifier_is_the_same_wherever_it_is_trained(trained: Any, tmp_path: Path) -> None:
    with torch.inference_mode():
        again = Classifier().prepare(DIGITS, tmp_path)
    assert torch.equal(again(DIGITS.test), trained(DIGITS.test))


def test_classifier_is_read_from_the_cache(
    trained: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "train", lambda *_: pytest.fail("trained although cached"))
    found = Classifier().prepare(DIGITS, cache)
    assert torch.equal(found(DIGITS.test), trained(DIGITS.test))


def test_digest_tells_data_apart() -> None:
    same, other, relabelled = few(), few(seed=5), few()
    assert relabelled.train_labels is not None
    relabelled.train_labels[0] = 2
    digests = [Classifier().digest(data) for data in (few(), same, other, relabelled)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("damage", ["empty", "flipped", "no note", "odd note", "other weights"])
def test_a_damaged_cache_is_trained_anew(tmp_path: Path, damage: str) -> None:
    data = few()
    features = Classifier().prepare(data, tmp_path)(data.test)
    (weights,) = tmp_path.glob("*.safetensors")
    note, content = weights.with_suffix(".json"), bytearray(weights.read_bytes())
    if damage == "empty":
        weights.write_bytes(b"")
    elif damage == "flipped":
        content[-3] ^= 1
        weights.write_bytes(content)
    elif damage == "no note":
        note.unlink()
    elif damage == "odd note":
        note.write_text("[1]")
    else:
        weights.write_bytes(b"hello")
        note.write_text(json.dumps({"sha256": hashlib.sha256(b"hello").hexdigest()}))
    found = Classifier().prepare(data, tmp_path)
    assert torch.equal(found(data.test), features)
    assert json.loads(note.read_bytes())["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json", ".lock"}


def test_one_trains_while_the_others_wait(tmp_path: Path) -> None:
    calls, values = [], []

    def train() -> dict[str, Any]:
        calls.append(1)
        time.sleep(0.2)
        return {}

    def prepare() -> None:
        net = nn.Linear(2, 2).requires_grad_(False)
        load_or_train(net, tmp_path / "deep" / "net.safetensors", train)
        values.append(net.weight)

    threads = [threading.Thread(target=prepare) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len(values) == 6
    assert all(torch.equal(value, values[0]) for value in values)


@pytest.mark.slow
def test_several_processes_train_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from ganbench_builtin.datasets.digits import Digits\n"
        "from ganbench_builtin.extractors import classifier as c\n"
        "train, here = c.train, Path(sys.argv[1])\n"
        "def counted(net, data):\n"
        "    with (here / 'count').open('a') as f: f.write('x')\n"
        "    return train(net, data)\n"
        "c.train, data = counted, Digits().load(None)\n"
        "print(float(c.Classifier().prepare(data, here)(data.test).double().sum()))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    sums = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(sums) == 1
    assert (tmp_path / "count").read_text() == "x"


@pytest.mark.slow
def test_classifier_takes_images_of_any_size_and_any_default_dtype(tmp_path: Path) -> None:
    data = few(side=28)
    torch.set_default_dtype(torch.float64)
    try:
        found = Classifier().prepare(data, tmp_path)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found(images(5, 28)).shape == (5, 64)
    assert any(isinstance(layer, nn.Conv2d) for layer in _training.build(data.spec).modules())
    assert int(found.classify(data.train).max()) <= 2


def test_classifier_needs_labels(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="identity or inception"):
        Classifier().prepare(Ring(size=10).load(None), tmp_path)


def test_a_cache_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file"):
        Classifier().prepare(few(), tmp_path / "file")
