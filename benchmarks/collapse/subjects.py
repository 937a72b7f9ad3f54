"""What is imitated: data whose law is known well enough to draw healthy samples from it."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.components.data import Data
from ganbench.engine.tables import as_float
from ganbench_builtin.datasets.digits import Digits
from ganbench_builtin.datasets.grid import Grid
from ganbench_builtin.datasets.ring import Ring
from ganbench_builtin.datasets.stacked_digits import StackedDigits


@dataclass(frozen=True, eq=False)
class Subject(ABC):
    """Data, and their classes to draw from: the modes of a mixture, the labels of images.

    Arguments:
        name: how `--subjects` calls it.
        title: heads its table.
        data: what metrics see.
        n: samples of an evaluation.
        only: names of the metrics taken; all that fit where empty.
    """

    name: str
    title: str
    data: Data
    n: int
    only: tuple[str, ...] = ()

    @property
    @abstractmethod
    def centres(self) -> Tensor:
        """The mean of each class: K x shape."""

    @abstractmethod
    def classes(self, generator: torch.Generator) -> Tensor:
        """n classes, as the data have them."""

    @abstractmethod
    def draw(self, classes: Tensor, generator: torch.Generator) -> Tensor:
        """One fresh sample of each of those classes: n x shape, in the range of the data."""

    def healthy(self, generator: torch.Generator) -> Tensor:
        """Fresh samples of the data's law."""
        return self.draw(self.classes(generator), generator)

    @property
    def train(self) -> Tensor:
        """The training samples, as floats."""
        return as_float(self.data.train, torch.float32)


class Points(Subject):
    """A mixture of Gaussians with equal weights: fresh samples come from the law itself."""

    @property
    def centres(self) -> Tensor:
        """Of the Gaussians."""
        assert self.data.modes is not None
        return self.data.modes

    def classes(self, generator: torch.Generator) -> Tensor:
        """Uniform."""
        return torch.randint(len(self.centres), (self.n,), generator=generator)

    def draw(self, classes: Tensor, generator: torch.Generator) -> Tensor:
        """From the Gaussians."""
        assert self.data.sigma is not None
        noise = torch.randn(len(classes), self.centres.shape[1], generator=generator)
        return self.centres[classes] + self.data.sigma * noise


class Images(Subject):
    """Labelled images: fresh samples are held-out ones, none twice while they last."""

    @property
    def pool(self) -> Tensor:
        """The held-out images, as floats."""
        return as_float(self.data.test, torch.float32)

    @property
    def labels(self) -> Tensor:
        """Of the pool."""
        assert self.data.test_labels is not None
        return self.data.test_labels

    @property
    def centres(self) -> Tensor:
        """Mean images. A class without a held-out image is black."""
        sums = torch.zeros(self.data.classes, *self.pool.shape[1:]).index_add(0, self.labels, self.pool)
        counts = torch.bincount(self.labels, minlength=self.data.classes).clamp(min=1)
        return sums / counts.view(-1, *[1] * (sums.ndim - 1))

    def classes(self, generator: torch.Generator) -> Tensor:
        """Those of n held-out images."""
        return self.labels[torch.randperm(len(self.labels), generator=generator)[: self.n]]

    def draw(self, classes: Tensor, generator: torch.Generator) -> Tensor:
        """Of each class in an order at random, and again from its start where it ends."""
        rows = torch.empty(len(classes), dtype=torch.int64)
        for each in classes.unique():
            own = torch.nonzero(self.labels == each)[:, 0]
            wanted = torch.nonzero(classes == each)[:, 0]
            order = own[torch.randperm(len(own), generator=generator)]
            rows[wanted] = order[torch.arange(len(wanted)) % len(order)]
        return self.pool[rows]


def ring(n: int = 2500) -> Subject:
    """8 Gaussians of sigma .01 on a circle of radius 1."""
    return Points("ring", "Ring of 8 Gaussians", Ring().load(None), n)


def grid(n: int = 2500) -> Subject:
    """25 Gaussians of sigma .05."""
    return Points("grid", "Grid of 25 Gaussians", Grid().load(None), n)


def digits(n: int = 400) -> Subject:
    """Digits of which every other one is held out: the data set's own test part is small for 20 resamples."""
    return Images("digits", "Digits, every other one held out", _halved(Digits().load(None)), n)


def stacked(n: int = 5000) -> Subject:
    """Three digits as three channels, for the count of 1,000 modes."""
    return Images("stacked", "Stacked digits", StackedDigits().load(None), n, only=("stacked-modes",))


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "ring": ring,
    "grid": grid,
    "digits": digits,
    "stacked": stacked,
}


def _halved(data: Data) -> Data:
    assert data.train_labels is not None
    assert data.test_labels is not None
    images = torch.cat([data.train, data.test])
    labels = torch.cat([data.train_labels, data.test_labels])
    return dataclasses.replace(
        data, train=images[::2], test=images[1::2], train_labels=labels[::2], test_labels=labels[1::2]
    )
