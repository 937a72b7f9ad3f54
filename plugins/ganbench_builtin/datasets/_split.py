"""What is held out where a data set comes in one piece: evenly spaced samples, of each class its share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganbench import BadInput, Problem


def held_out(where: object, n: int, share: float, labels: Sequence[object] | None = None) -> np.ndarray:
    """n booleans, the same every time: True for `share` of the samples. BadInput if that leaves a part empty.

    Arguments:
        where: the samples come from, for the message.
        labels: one a sample: of each class `share` is held out, rounded down.
    """
    rows: dict[object, list[int]] = {}
    for row in range(n):
        rows.setdefault(labels[row] if labels is not None else None, []).append(row)
    test = np.zeros(n, dtype=bool)
    for members in rows.values():
        # The nudge: 100 * 0.29 is a bit less than 29.
        counts = np.floor(np.arange(len(members) + 1) * share + 1e-9)
        test[np.array(members)[np.diff(counts) > 0]] = True
    if not test.any() or test.all():
        many = "1 sample is" if n == 1 else f"{n:,} samples are"
        of = " of each class" if len(rows) > 1 else ""
        what = f"{many} too few to hold out {share:g}{of}; choose another held_out"
        raise BadInput(Problem(str(where), what))
    return test
