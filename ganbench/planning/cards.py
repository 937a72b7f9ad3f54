"""Which structures train on which model of GPU, and into how many stacks each is cut so that none idles.

Models of GPUs round differently, and the runs of a variant are compared with each other: they stay on one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganbench.machine.gpus import Gpu
from ganbench.storage.records import PlannedStack
from ganbench.storage.stack_folder import StackFolder


@dataclass(frozen=True)
class Work:
    """What is left to train of a structure.

    Arguments:
        seconds: predicted, on any device: only ratios count.
        card: the model that runs of it were trained on, or planned for; "" where there are none.
    """

    seconds: float
    card: str


@dataclass(frozen=True)
class Shares:
    """How structures share the workers.

    Arguments:
        cards: the model of GPU for each structure; empty where there are fewer than two models.
        structures: how many there are, also of those that are done.
    """

    cards: Mapping[str, str]
    gpus: Sequence[Gpu]
    workers: int
    structures: int

    def card(self, structure: str) -> str:
        """The model of GPU that trains it, "" where any worker does."""
        return self.cards.get(structure, "")

    def pieces(self, structure: str) -> int:
        """Into how many stacks its runs are cut at least: one, unless workers are more than structures."""
        workers, structures = self.workers, self.structures
        card = self.card(structure)
        if card:
            workers = sum(gpu.name == card for gpu in self.gpus)
            structures = list(self.cards.values()).count(card)
        return -(-workers // max(1, structures))


def assigned(works: Mapping[str, Work], gpus: Sequence[Gpu]) -> dict[str, str]:
    """The model of GPU for each structure; empty where there are fewer than two models.

    A structure stays on the model that it was begun on. The others go where the load of a GPU is least, the
    longest first.
    """
    count = Counter(gpu.name for gpu in gpus)
    if len(count) < 2:
        return {}
    load, cards = dict.fromkeys(count, 0.0), {}
    # those that stay come first, so that the others know the load
    for structure, work in sorted(
        works.items(), key=lambda item: (item[1].card not in count, -item[1].seconds)
    ):
        card = work.card
        if card not in count:
            card = min(count, key=lambda name: (load[name] + work.seconds / count[name], name))
        cards[structure] = card
        load[card] += work.seconds / count[card]
    return cards


def cards_so_far(planned: Iterable[PlannedStack], folders: Iterable[StackFolder]) -> dict[str, str]:
    """Run key -> the model of GPU that an earlier call trained it on, or planned it for."""
    cards = {key: entry["card"] for entry in planned if "card" in entry for key in entry["keys"]}
    for folder in folders:
        gpu = folder.env().get("gpu")
        if gpu:
            cards |= dict.fromkeys(folder.config().get("keys", ()), gpu["name"])
    return cards
