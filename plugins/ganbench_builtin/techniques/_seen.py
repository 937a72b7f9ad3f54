"""What the discriminator sees in play: each call of it on samples that were changed by a draw of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import Tensor

import ganbench
from ganbench import Nets

CALLS = 3
"""How often a model's `play` may call its discriminator: on data, on samples, and on one kind more."""


def changed(
    technique: ganbench.Technique,
    nets: Nets,
    batch: Mapping[str, Tensor],
    change: Callable[[Tensor, Tensor], Tensor],
) -> Nets:
    """The networks of one play, of which the discriminator is called on change(x, draw).

    The draws are those of `draws_of_calls`, the first for the first call. BadInput where they run out.
    """
    count = itertools.count()

    def around(call: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
        def seen(x: Tensor) -> Any:
            number = next(count)
            if number == CALLS:
                what = f"the model calls its discriminator more than {CALLS} times a turn"
                raise ganbench.BadInput(f"{technique.name} has no draws left: {what}")
            return call(change(x, batch[f"{technique.name}/{number}"]))

        return seen

    return nets.around("discriminator", around)


def draws_of_calls(
    technique: ganbench.Technique, shape: tuple[int, ...], distribution: Literal["normal", "uniform"]
) -> dict[str, ganbench.Draw]:
    """A draw of that shape for every call."""
    return {f"{technique.name}/{number}": ganbench.Draw(shape, distribution) for number in range(CALLS)}
