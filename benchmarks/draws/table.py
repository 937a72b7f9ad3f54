"""Make the table that turns random words into normals: `python -m benchmarks.draws.table`, from the checkout.

Another table is another generator: every result changes. The committed file counts, not this script: with
another version of scipy, the last digit of a coefficient may be another one.

A word gives the probability q of a tail, in units of 2^-33. Row 64 L + k of the table is for q from
(1 + k/64) 2^L to (1 + (k + 1)/64) 2^L. It holds a cubic polynomial, lowest power first: at the place within
the segment, from 0 to 1, it gives the normal quantile in units of 2^-40. It equals the quantile at the four
Chebyshev points of the segment.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from ganbench.game.philox.tensors import FRACTION, SEGMENTS, TABLE

OCTAVES = 32
POINTS = (1 - np.cos((np.arange(4) + 0.5) * np.pi / 4)) / 2


def table() -> np.ndarray:
    """Octaves and segments x 4, int64."""
    quantiles = -ndtri(tails(POINTS) / 2.0**33)
    powers = np.vander(POINTS, increasing=True)
    return np.rint(np.linalg.solve(powers, quantiles.T).T * 2.0**FRACTION).astype(np.int64)


def tails(places: np.ndarray) -> np.ndarray:
    """The tails' probabilities at places within all segments: segments x places."""
    octave, segment = np.divmod(np.arange(OCTAVES << SEGMENTS), 1 << SEGMENTS)
    return 2.0 ** octave[:, None] * (1 + (segment[:, None] + places) / 2**SEGMENTS)


if __name__ == "__main__":
    np.save(TABLE, np.ascontiguousarray(table()), allow_pickle=False)
