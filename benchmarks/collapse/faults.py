"""Generators with a known fault: each gives n samples of a subject."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from benchmarks.collapse.subjects import Images, Points, Subject

Fault = Callable[[Subject, Generator], Tensor]

_FEW = 10


def healthy(subject: Subject, generator: Generator) -> Tensor:
    """No fault: fresh samples of the data's law."""
    return subject.healthy(generator)


def untrained(subject: Subject, generator: Generator) -> Tensor:
    """Noise of the data's own range, as before the first step."""
    return torch.randn(subject.n, *subject.centres.shape[1:], generator=generator)


def every_other(subject: Subject, generator: Generator) -> Tensor:
    """Every other mode or class is lost, so that mean and covariance of a ring stay as they are."""
    return _among(subject, torch.arange(len(subject.centres))[::2], generator)


def neighbours(subject: Subject, generator: Generator) -> Tensor:
    """Only the first half of the modes, side by side, is left."""
    return _among(subject, torch.arange(len(subject.centres) // 2), generator)


def one_mode(subject: Subject, generator: Generator) -> Tensor:
    """One mode or class is left, with all its variety."""
    return _among(subject, torch.tensor([0]), generator)


def one_point(subject: Subject, generator: Generator) -> Tensor:
    """All samples are one and the same good one: a centre, or a held-out image."""
    first = torch.zeros(1, dtype=torch.int64)
    good = subject.draw(first, generator) if isinstance(subject, Images) else subject.centres[first]
    return good.expand(subject.n, *good.shape[1:]).clone()


def wrong_weights(subject: Subject, generator: Generator) -> Tensor:
    """90% of the samples are of the first mode or class, the others share the rest."""
    classes = subject.classes(generator)
    first = torch.rand(len(classes), generator=generator) < 0.9
    return subject.draw(torch.where(first, torch.zeros_like(classes), classes), generator)


def shrunk(subject: Subject, generator: Generator) -> Tensor:
    """What differs from the mean of its mode or class is a tenth of what it should be."""
    return _scaled(subject, 0.1, generator)


def blurred(subject: Subject, generator: Generator) -> Tensor:
    """Points: three times the deviation. Images: each pixel is the mean of nine."""
    if isinstance(subject, Points):
        return _scaled(subject, 3.0, generator)
    images = F.pad(subject.healthy(generator), (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(images, 3, stride=1)


def few_copies(subject: Subject, generator: Generator) -> Tensor:
    """Exact copies of ten training samples."""
    rows = torch.randperm(len(subject.train), generator=generator)[:_FEW]
    return subject.train[rows[torch.randint(len(rows), (subject.n,), generator=generator)]]


def all_copies(subject: Subject, generator: Generator) -> Tensor:
    """Exact copies of training samples, any of all: a training set learnt by heart."""
    rows = torch.randperm(len(subject.train), generator=generator)
    return subject.train[rows[torch.arange(subject.n) % len(rows)]]


def outliers(subject: Subject, generator: Generator) -> Tensor:
    """One sample in ten is noise: uniform over half as much again as the centres span, or over all images."""
    samples = subject.healthy(generator)
    reach = 1.0 if isinstance(subject, Images) else 1.5 * float(subject.centres.abs().max())
    noise = reach * (2 * torch.rand(samples.shape, generator=generator) - 1)
    strange = torch.arange(len(samples)) < math.ceil(len(samples) / 10)
    return torch.where(strange.view(-1, *[1] * (samples.ndim - 1)), noise, samples)


def constant(subject: Subject, generator: Generator) -> Tensor:
    """All samples are zero: the middle of the mixture (a mode of the grid), or grey images."""
    return torch.zeros(subject.n, *subject.centres.shape[1:])


def one_nan(subject: Subject, generator: Generator) -> Tensor:
    """Healthy but for one sample, which is not a number."""
    samples = subject.healthy(generator)
    samples[0] = math.nan
    return samples


def all_nan(subject: Subject, generator: Generator) -> Tensor:
    """Nothing is a number."""
    return torch.full((subject.n, *subject.centres.shape[1:]), math.nan)


FAULTS: dict[str, Fault] = {
    "every other mode lost": every_other,
    "half left, neighbours": neighbours,
    "one mode left": one_mode,
    "a point": one_point,
    "90% in one mode": wrong_weights,
    "modes shrunk x .1": shrunk,
    "modes blurred": blurred,
    "copies of 10 training samples": few_copies,
    "copies of the training set": all_copies,
    "10% outliers": outliers,
    "constant zero": constant,
    "one sample is NaN": one_nan,
    "all samples are NaN": all_nan,
}


def _among(subject: Subject, kept: Tensor, generator: Generator) -> Tensor:
    classes = kept[torch.randint(len(kept), (subject.n,), generator=generator)]
    return subject.draw(classes, generator)


def _scaled(subject: Subject, factor: float, generator: Generator) -> Tensor:
    classes = subject.classes(generator)
    centres = subject.centres[classes]
    return centres + factor * (subject.draw(classes, generator) - centres)
