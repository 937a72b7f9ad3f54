"""Eigenvalues of the game's Jacobian."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse.linalg import ArpackError, LinearOperator, eigs

from ganbench import Evaluation, Metric
from ganbench_builtin.metrics._dynamics import ascent_field, flatten, game

_BASIS = 40  # Krylov vectors at once: in trained games one basis is often enough
_TOLERANCE = 1e-6
_SEEDED = "rng" in inspect.signature(eigs).parameters  # from scipy 1.17 on

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class JacobianEigenvalues(Metric):
    """Eigenvalues of the Jacobian of the ascent field (Mescheder et al. 2017, arXiv:1705.10461, section 3).

    The field is v = -(each player's gradient of its own objective), of all players at once, penalties
    included, on one training batch; in float64. Values:

    - eigen-real: the largest real part. Any number, lower is better: at a stationary point, simultaneous
      gradient descent with small steps converges locally if it is < 0, and diverges if it is > 0.
    - eigen-imaginary: the largest imaginary part. 0 to inf, lower is better: it is rotation, which costs
      speed. Along an eigenvalue a + b i, a < 0, steps of size h converge while h < -2 a / (a^2 + b^2)
      (lemma 4).

    Both speak of convergence near a stationary point only; elsewhere they are curvature. They cannot see
    what techniques make of the field or the step (consensus, extragradient, momentum, Adam), and take the
    vectors of spectral norm as constants, as its gradient does. Directions without curvature, which real
    networks have, keep eigen-real at 0 or above. A batch's eigenvalues are not those of the expected game:
    compare at equal batch size.

    Up to `dense` parameters the Jacobian is formed and its eigenvalues are exact. Beyond, they are found
    without it, by implicitly restarted Arnoldi iterations (ARPACK) on products with its transpose, each one
    backward pass through the gradients' own graph, to a relative 1e-6. A value is nan where these do not
    converge within `restarts`, as where many eigenvalues tie, and where the field is not finite.

    Cost: 40 to 200 such passes a value, some 200 training steps (500 of a DCGAN): for small games, or rarely.

    Arguments:
        dense: up to how many parameters of all players together the whole Jacobian is taken.
        restarts: of the Arnoldi iterations, at most.
    """

    name = "jacobian-eigenvalues"
    values = {"eigen-real": "lower", "eigen-imaginary": "lower"}
    dense: Annotated[int, Field(ge=0)] = 300
    restarts: Annotated[int, Field(gt=0)] = 50

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """Both values."""
        view = game(evaluation).double()
        here = flatten(view.layout, view.joint)
        value, pullback, *_ = torch.func.vjp(ascent_field(view, view.batch()), here)

        def transposed(vector: Vector) -> Vector:
            """J^T vector; J and its transpose have the same eigenvalues."""
            found: Vector = pullback(torch.from_numpy(vector).to(here))[0].detach().cpu().numpy()
            return found

        if not value.isfinite().all():
            real, imaginary = math.nan, math.nan
        elif len(here) <= max(self.dense, 3):  # ARPACK takes no less than four
            real, imaginary = _exact(transposed, len(here))
        else:
            real = _outermost(transposed, len(here), "LR", self.restarts).real
            imaginary = abs(_outermost(transposed, len(here), "LI", self.restarts).imag)
        return {"eigen-real": real, "eigen-imaginary": imaginary}


def _exact(product: Callable[[Vector], Vector], n: int) -> tuple[float, float]:
    matrix = np.stack([product(unit) for unit in np.eye(n)])
    if not np.isfinite(matrix).all():
        return math.nan, math.nan
    found = np.linalg.eigvals(matrix)
    return float(found.real.max()), float(abs(found.imag).max())


def _outermost(
    product: Callable[[Vector], Vector], n: int, which: Literal["LR", "LI"], restarts: int
) -> complex:
    """The eigenvalue with the largest real or imaginary part; nan where it is not found."""
    # always the same beginning, and the same when an invariant subspace makes ARPACK begin anew
    start = np.random.default_rng(0).standard_normal(n)
    seeded: dict[str, Any] = {"rng": np.random.default_rng(1)} if _SEEDED else {}
    first = product(start)
    if not np.isfinite(first).all():
        return complex(math.nan, math.nan)
    if not first.any():  # only the zero matrix does this to a random vector, and ARPACK refuses it
        return 0j
    try:
        found = eigs(
            LinearOperator((n, n), matvec=product, dtype=np.float64),
            k=1,
            which=which,
            v0=start,
            ncv=min(n, _BASIS),
            maxiter=restarts,
            tol=_TOLERANCE,
            return_eigenvectors=False,
            **seeded,
        )
    except ArpackError:
        return complex(math.nan, math.nan)
    return complex(found[0])
