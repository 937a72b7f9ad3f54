"""The small network of the classifier extractor, and its training: once, on the CPU, on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench import Data, DataSpec, isolated_rng, stream

FEATURES = 64
_SEED = 0
_TINY = 16  # images with a side below this have too few pixels for convolutions with strides
_LEAST_STEPS = 600  # however few images there are
_CHUNK = 1024


def build(spec: DataSpec) -> nn.Sequential:
    """An untrained network, float32 on the CPU; only its last layer gives classes."""
    with torch.inference_mode(False), isolated_rng(_SEED, "classifier"), torch.device("cpu"):
        body = _convolutions(spec) if _is_large(spec) else _hidden(spec)
        wide = _outputs(body, spec)
        net = nn.Sequential(
            nn.Sequential(*body, nn.Linear(wide, FEATURES), nn.ReLU()), nn.Linear(FEATURES, spec.classes)
        )
    return net.to(torch.float32)


def train(net: nn.Sequential, data: Data) -> float:
    """Trains `net` in place on the labelled training part; its accuracy on the test part."""
    assert data.train_labels is not None
    large = _is_large(data.spec)
    samples, labels = data.train.cpu(), data.train_labels.cpu()
    epochs, batch = (5, 128) if large else (40, 64)
    epochs = max(epochs, -(-_LEAST_STEPS * batch // len(samples)))
    order = stream("cpu", _SEED, "classifier", "order")
    steps = epochs * -(-len(samples) // batch)
    with _alone():
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(len(samples), generator=order, device="cpu"), batch):
                optimizer.zero_grad()
                loss = F.cross_entropy(net(as_floats(samples[rows])), labels[rows])
                torch.autograd.backward(loss)
                optimizer.step()
                decay.step()
        net.requires_grad_(False).eval()
        return _accuracy(net, data)


def as_floats(samples: Tensor) -> Tensor:
    """float32, in the range in which models see data: uint8 images in [-1, 1]."""
    return samples.float() / 127.5 - 1 if samples.dtype == torch.uint8 else samples.float()


def in_chunks(net: nn.Module, samples: Tensor) -> Tensor:
    """`net` of all samples, some at a time."""
    return torch.cat([net(as_floats(chunk)) for chunk in torch.split(samples, _CHUNK)])


def _is_large(spec: DataSpec) -> bool:
    return len(spec.shape) == 3 and min(spec.shape[1:]) >= _TINY


def _convolutions(spec: DataSpec) -> list[nn.Module]:
    return [
        nn.Conv2d(spec.shape[0], 24, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(24, 48, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Flatten(),
    ]


def _hidden(spec: DataSpec) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(spec.numel, 256), nn.ReLU()]


def _outputs(body: list[nn.Module], spec: DataSpec) -> int:
    with torch.no_grad():
        return int(nn.Sequential(*body)(torch.zeros(1, *spec.shape)).shape[1])


def _accuracy(net: nn.Module, data: Data) -> float:
    assert data.test_labels is not None
    found = in_chunks(net, data.test.cpu()).argmax(1)
    return float((found == data.test_labels.cpu()).double().mean())


@contextmanager
def _alone() -> Iterator[None]:
    """One thread, so that every process of a machine arrives at the same weights; gradients on."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)
