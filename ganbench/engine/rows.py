"""Which rows of the data each turn reads, and the rows themselves of tables that do not fit on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from ganbench.engine.tables import order_of, sizes
from ganbench.game.draws import CHUNK, Order

Gathered = list[dict[str, Tensor]]
"""Of each turn of a chunk, on the CPU: name -> CHUNK x runs x shape."""


class Rows:
    """What a stack's runs read of the training tables, a chunk at a time.

    Arguments:
        seeds: of the runs.
        batch: rows that a turn reads.
        streamed: the tables whose rows are gathered on the CPU; of the others, indices suffice.
        pinned: whether these rows lie in pinned memory, which alone is copied while a GPU computes.
    """

    def __init__(
        self,
        tables: Mapping[str, Tensor],
        seeds: Sequence[int],
        batch: int,
        turns: int,
        streamed: Mapping[str, Tensor],
        pinned: bool,
    ) -> None:
        self._turns, self._streamed, self._pinned = turns, streamed, pinned
        self._orders = {
            order.index: [Order(seed, size, batch, order.stream) for seed in seeds]
            for order, size in sizes(tables).items()
        }
        self._ahead: tuple[int, Future[Gathered]] | None = None

    def of(self, chunk: int) -> Gathered:
        """Indices, and the rows of streamed tables."""
        ahead, self._ahead = self._ahead, None
        # an error of the thread is raised here: where nothing reads the chunk, it does not matter
        return ahead[1].result() if ahead and ahead[0] == chunk else self._gather(chunk)

    @contextmanager
    def gathering(self, chunk: int) -> Iterator[None]:
        """Gather the chunk in a thread while the body computes, if there is anything to gather."""
        if not self._streamed:
            yield
            return
        # The thread ends with the body: while a GPU captures a graph, no other thread may pin memory.
        with ThreadPoolExecutor(1, "gather") as pool:
            self._ahead = chunk, pool.submit(self._gather, chunk)
            yield

    def _gather(self, chunk: int) -> Gathered:
        # Every turn reads a batch of its own, so an epoch advances by `turns` batches a step.
        first, count = chunk * CHUNK * self._turns, CHUNK * self._turns
        orders = {
            index: torch.stack([order.indices(first, count) for order in runs], dim=1)
            for index, runs in self._orders.items()
        }
        return [
            self._turn({index: order[turn :: self._turns].contiguous() for index, order in orders.items()})
            for turn in range(self._turns)
        ]

    def _turn(self, orders: dict[str, Tensor]) -> dict[str, Tensor]:
        rows = dict(orders)
        for name, table in self._streamed.items():
            order = orders[order_of(name).index]
            block = table.index_select(0, order.flatten()).view(*order.shape, *table.shape[1:])
            rows[name] = block.pin_memory() if self._pinned else block
        return rows
