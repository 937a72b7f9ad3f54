"""What a judge sees in play: each call of its network on samples that were changed by a draw of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import Tensor

import ganbench
from ganbench import Nets
from ganbench_builtin.techniques._judges import judge_networks

CALLS = 3
"""How often a model's `play` may call one judge: on data, on samples, and on one kind more."""
Change = Callable[[Tensor, Tensor], Tensor]
"""(samples, draw) -> what is seen of them."""


def changed(
    technique: ganbench.Technique,
    nets: Nets,
    batch: Mapping[str, Tensor],
    change: Callable[[str], Change],
) -> Nets:
    """The networks of one play, of which each judge is called on change(judge)(x, draw).

    The draws are those of `draws_of_calls`, the first for the first call. BadInput where they run out.
    """
    for place, (judge, network) in enumerate(judge_networks(technique).items()):
        names = [_role(technique, place, call) for call in range(CALLS)]
        nets = nets.around(network, _around(technique, judge, change(judge), batch, names))
    return nets


def draws_of_calls(
    technique: ganbench.Technique, shape: tuple[int, ...], distribution: Literal["normal", "uniform"]
) -> dict[str, ganbench.Draw]:
    """A draw of that shape for every call of every judge."""
    calls = itertools.product(range(len(technique.judges)), range(CALLS))
    return {_role(technique, place, call): ganbench.Draw(shape, distribution) for place, call in calls}


def _role(technique: ganbench.Technique, place: int, call: int) -> str:
    """Name of a draw. Not by the judge's name: what a player is called changes no number."""
    return f"{technique.name}/{place * CALLS + call}"


def _around(
    technique: ganbench.Technique, judge: str, change: Change, batch: Mapping[str, Tensor], names: list[str]
) -> Callable[[Callable[[Tensor], Any]], Callable[[Tensor], Any]]:
    """How one judge is called in one play: its calls share a count."""
    count = itertools.count()

    def around(call: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
        def seen(x: Tensor) -> Any:
            number = next(count)
            if number == CALLS:
                what = f"the model calls its {judge} more than {CALLS} times a turn"
                raise ganbench.BadInput(f"{technique.name} has no draws left: {what}")
            return call(change(x, batch[names[number]]))

        return seen

    return around
