"""The extractor inception: against torch-fidelity, and what it says when it cannot."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
import torch_fidelity.feature_extractor_inceptionv3 as inceptionv3
from torch import Tensor

from ganbench.components.data import Data
from ganbench.components.kinds import Evaluation
from ganbench.errors import BadInput
from ganbench_builtin.datasets.digits import Digits
from ganbench_builtin.extractors.inception import Inception, _as_rgb
from ganbench_builtin.metrics.inception_score import InceptionScore

DIGITS = Digits().load(None)


def images(n: int, channels: int, side: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, side, side), generator=generator, dtype=torch.uint8)


def test_images_become_bytes_and_grey_becomes_rgb() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    rgb = _as_rgb(levels.float() / 127.5 - 1)
    assert rgb.dtype == torch.uint8
    assert torch.equal(rgb, levels.expand(1, 3, 16, 16))
    assert _as_rgb(torch.tensor([-1.7, 3.0, 0.0]).reshape(1, 1, 1, 3))[0, 0, 0].tolist() == [0, 255, 128]
    colour = images(2, 3, 4)
    assert torch.equal(_as_rgb(colour.double() / 127.5 - 1), colour)


@pytest.mark.parametrize("served", [None, b"please log in"])
def test_inception_without_weights_and_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bytes | None
) -> None:
    mirror = tmp_path / "mirror.pth"
    if served:
        mirror.write_bytes(served)
    monkeypatch.setattr(inceptionv3, "URL_INCEPTION_V3", mirror.as_uri())
    with pytest.raises(BadInput) as caught:
        Inception().prepare(DIGITS, tmp_path / "cache")
    (problem,) = caught.value.problems
    for word in ("weights-inception-2015-12-05-6726825d.pth", str(tmp_path / "cache"), "option weights"):
        assert word in problem.what
    assert "\n" not in problem.what


def test_inception_names_weights_that_it_cannot_use(tmp_path: Path) -> None:
    wrong, damaged, missing = (tmp_path / name for name in ("wrong.pth", "damaged.pth", "missing.pth"))
    torch.save({"a": torch.zeros(1)}, wrong)
    damaged.write_bytes(wrong.read_bytes()[:-50])
    for path in (wrong, damaged, missing, tmp_path):
        with pytest.raises(BadInput) as caught:
            Inception(weights=str(path)).prepare(DIGITS, tmp_path)
        assert str(path) in str(caught.value)
    with pytest.raises(BadInput, match=r"missing\.pth"):
        Inception(weights=str(missing)).digest(DIGITS)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_weights_do_not_run_code(tmp_path: Path) -> None:
    torch.save({"fc.weight": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    with pytest.raises(BadInput, match=r"trap\.pth"):
        Inception(weights=str(tmp_path / "trap.pth")).prepare(DIGITS, tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("shape", [(2,), (4, 8, 8)])
def test_inception_sees_images_only(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data = Data(torch.zeros(3, *shape), torch.zeros(3, *shape))
    with pytest.raises(BadInput, match="1 or 3 channels"):
        Inception().prepare(data, tmp_path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inception's weights at random: torch-fidelity's network, saved before it loads any."""

    class Untrained(inceptionv3.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: Any) -> None:  # type: ignore[override]
            pass

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        net = Untrained("inception-v3-compat", ["2048"], nothing)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(layer.weight, 6**0.5)  # else features shrink to nothing, layer by layer
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(net.state_dict(), path)
    return path


@pytest.mark.slow
def test_inception_agrees_with_torch_fidelity(weights: Path, tmp_path: Path) -> None:
    from torch.utils.data import TensorDataset
    from torch_fidelity import calculate_metrics

    from ganbench_builtin.metrics.fid import Fid

    class Images(TensorDataset):
        def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
            return self.tensors[0][index]

    fake, real = images(4, 3, 32), images(4, 3, 32, seed=1) // 2
    data = Data(real, real)
    before = torch.get_rng_state()
    extract = Inception(weights=str(weights)).prepare(data, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert extract(fake).shape == (4, 2048)
    ours = Fid(extractor="inception").measure(
        Evaluation(
            fake.float() / 127.5 - 1,
            data,
            lambda n: real[:n].float() / 127.5 - 1,
            lambda _, samples: extract(samples).double(),
            torch.Generator(),
            {},
        )
    )["fid"]
    with torch.random.fork_rng(devices=[]):
        theirs = calculate_metrics(
            input1=Images(fake),
            input2=Images(real),
            cuda=False,
            fid=True,
            verbose=False,
            cache=False,
            feature_extractor_weights_path=str(weights),
            batch_size=4,
            save_cpu_ram=True,
        )["frechet_inception_distance"]
    assert ours == pytest.approx(theirs, rel=1e-5, abs=0)
    assert theirs > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("splits", [1, 2])
def test_the_inception_score_is_torch_fidelitys(weights: Path, tmp_path: Path, splits: int) -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    fake = images(6, 3, 32)
    fake[::2] //= 4  # else all look alike to weights at random
    data = Data(fake, fake)
    extract = Inception(weights=str(weights)).prepare(data, tmp_path)
    evaluation = Evaluation(
        fake.float() / 127.5 - 1,
        data,
        lambda n: fake[:n],
        lambda _, samples: extract(samples).double(),
        torch.Generator(),
        {},
        probabilities=lambda _, samples: extract.probabilities(samples),
    )
    ours = InceptionScore(extractor="inception", splits=splits).measure(evaluation)["inception-score"]
    clean = torch.load(weights, weights_only=True)
    net = inceptionv3.FeatureExtractorInceptionV3("inception-v3-compat", ["logits_unbiased"], str(weights))
    assert set(clean) == set(net.state_dict())
    theirs = isc_features_to_metric(net(fake)[0], splits=splits, shuffle=False)["inception_score_mean"]
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert ours > 1 + 1e-4
    assert extract.probabilities(fake).shape == (6, 1008)
    assert torch.equal(extract.classify(fake), net(fake)[0].argmax(1))


@pytest.mark.slow
def test_grey_images_go_through_inception(weights: Path, tmp_path: Path) -> None:
    extract = Inception(weights=str(weights)).prepare(DIGITS, tmp_path)
    grey = images(2, 1, 28)
    assert torch.equal(extract(grey), extract(grey.expand(-1, 3, -1, -1)))
    assert Inception(weights=str(weights)).digest(DIGITS).startswith("inception-v3-compat-2048-")
