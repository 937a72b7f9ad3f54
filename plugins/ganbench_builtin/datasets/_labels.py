"""Labels: one a sample, and each a class."""

from __future__ import annotations

from torch import Tensor

from ganbench import BadInput, Problem


def check_labels(where: object, labels: Tensor, samples: int, classes: int) -> None:
    """BadInput, naming `where`, if there are not `samples` labels from 0 to `classes` - 1."""
    if len(labels) != samples:
        raise BadInput(Problem(str(where), f"{len(labels):,} labels for {samples:,} samples"))
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        what = f"a label {int(wrong[0])}, where 0 to {classes - 1} are possible"
        raise BadInput(Problem(str(where), what))
