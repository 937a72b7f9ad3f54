"""Largest singular values of the discriminator's weights."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganbench import Evaluation, Metric
from ganbench_builtin.metrics._dynamics import game

_EXACT = 1024  # the shorter side up to which an eigenvalue problem is solved
_STEPS = 200  # of the power iteration beyond


@dataclass(frozen=True)
class SingularValues(Metric):
    """Largest singular values of the discriminator's weights (Miyato et al. 2018, arXiv:1802.05957).

    Of every parameter of the discriminator's player (of all players that judge) that has two dimensions or
    more, as a matrix of its first dimension by the rest, which is outputs by inputs for linear layers and
    convolutions. Values:

    - singular-max: the largest of them all. Brock et al. 2019, arXiv:1809.11096, section 4, see weights
      explode in this number before and at a collapse.
    - singular-log-product: the sum of their logarithms; of linear layers with activations of slope at most
      1, it bounds the log of the discriminator's Lipschitz constant from above.

    0 to inf, and -inf to inf; lower is smoother, and better as far as that goes: a discriminator can also be
    too smooth. Not biased. Under spectral norm the parameters are the weights before they are normalised:
    there, these values see the drift of what the networks do not, and no bound. Of a convolution, the
    matrix's norm is not the operator's, which is at most sqrt(kernel height x width) times as large.

    Exact, in float64, where the shorter side is at most 1,024, by the eigenvalues of W W^T; beyond, by 200
    power iterations from a fixed start, which give a value that is never too large (by 4e-4 too small for
    1,500 x 3,000 random numbers, whose largest values nearly tie). nan where a weight is not finite, or where
    the discriminator has no matrix.

    Cost: 15 ms for a layer of 256 outputs, .5 s for 1,024.
    """

    name = "singular-values"
    values = {"singular-max": "lower", "singular-log-product": "lower"}
    reads = ("judges",)

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """Both values."""
        view = game(evaluation)
        weights = [view.layout.views(judge, view.joint[judge]) for judge in view.judges]
        norms = [_norm(weight) for weight in itertools.chain(*weights) if weight.ndim > 1]
        if not norms:
            return dict.fromkeys(self.values, math.nan)
        found = torch.stack(norms)  # max keeps nan
        return {"singular-max": found.max().item(), "singular-log-product": found.log().sum().item()}


def _norm(weight: Tensor) -> Tensor:
    """Largest singular value of the weight as a matrix; float64."""
    matrix = weight.detach().double().flatten(1)
    scale = matrix.abs().max()
    if scale == 0 or not scale.isfinite():
        return torch.where(scale == 0, scale, torch.nan)
    matrix = matrix / scale  # so that no square overflows
    gram = matrix @ matrix.mT if matrix.shape[0] <= matrix.shape[1] else matrix.mT @ matrix
    largest = torch.linalg.eigvalsh(gram)[-1] if len(gram) <= _EXACT else _power(gram)
    return scale * largest.sqrt()


def _power(gram: Tensor) -> Tensor:
    """The Rayleigh quotient after _STEPS multiplications."""
    vector = torch.from_numpy(np.random.default_rng(0).standard_normal(len(gram))).to(gram)
    for _ in range(_STEPS):
        vector = vector / torch.linalg.vector_norm(vector)
        vector = gram @ vector
    vector = vector / torch.linalg.vector_norm(vector)
    return torch.dot(vector, gram @ vector)
