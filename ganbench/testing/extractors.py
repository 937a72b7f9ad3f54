"""Checks of feature extractors."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from ganbench.components.data import Data
from ganbench.errors import BadInput
from ganbench.testing.case import DATA, Case
from ganbench.testing.findings import NotTried, Unmet, check
from ganbench.testing.untouched import furthest, generators_untouched, same, tensors_untouched

Extract = Callable[[Tensor], Tensor]


@check("extractor")
def gives_a_row_a_sample(case: Case) -> None:
    """n samples have n rows of finite features.

    Fix: n x shape to n x d, floating: `.flatten(1)` at the end, no squeeze.
    """
    with _prepared(case) as (extract, samples):
        features = extract(samples)
        if not isinstance(features, Tensor) or features.dim() != 2 or len(features) != len(samples):
            shape = tuple(getattr(features, "shape", ()))
            raise Unmet(f"features of {len(samples)} samples are {type(features).__name__} of shape {shape}")
        if not features.is_floating_point() or not features.isfinite().all():
            raise Unmet(f"features are {features.dtype}, and not all are finite")


@check("extractor")
def looks_at_each_sample_alone(case: Case) -> None:
    """A sample's features do not depend on its companions; samples are left as they were.

    Fix: put its networks into evaluation mode, and compute each sample's features from it alone.
    """
    with _prepared(case) as (extract, samples), tensors_untouched("the", {"samples": samples}):
        with generators_untouched():
            together, alone = extract(samples), extract(samples[:3])
        off = furthest(together[:3].double(), alone.double())
        # features have any scale; or 1.0 where all of them are 0
        scale = float(together.double().abs().mean()) or 1.0
        # batched float32 kernels differ by the batch size: rounding alone is far below this
        if not off <= 1e-4 * scale:
            raise Unmet(
                f"without the others, the features of 3 of {len(samples)} samples are off by {off:.1g}"
            )


@check("extractor")
def is_the_same_again(case: Case) -> None:
    """Prepared twice for the same data, it gives the same features, under the same digest.

    Fix: train or draw by a generator of your own; the digest is a hash of all that features depend on.
    """
    with generators_untouched(), _prepared(case) as (extract, samples), _prepared(case) as (other, _):
        if not same(extract(samples), other(samples)):
            raise Unmet("prepared twice, it gives other features")
    data = _data(case)
    first, again = case.component.digest(data), case.component.digest(data)
    if first != again or not isinstance(first, str) or not first:
        raise Unmet(f"the digest was {first!r}, then {again!r}")


@check("extractor")
def passes_nan_on(case: Case) -> None:
    """Features of a sample that is nan are not finite; or there is a message.

    Fix: let nan pass.
    """
    with _prepared(case) as (extract, samples):
        try:
            features = extract(torch.full_like(samples, torch.nan))
        except BadInput:
            return
        if features.isfinite().any(1).all():
            raise Unmet("samples that are nan have features that look sound")


@contextmanager
def _prepared(case: Case) -> Iterator[tuple[Extract, Tensor]]:
    """The extractor, prepared in a folder of its own, and samples to extract."""
    data = _data(case)
    # a cache of its own, or an old file there would pass for this version's features
    with tempfile.TemporaryDirectory() as cache, torch.no_grad():
        try:
            extract = case.component.prepare(data, Path(cache))
        except BadInput as error:
            raise NotTried(str(error)) from None
        yield extract, data.test[:10].float()


def _data(case: Case) -> Data:
    return case.data or DATA["images"]()
