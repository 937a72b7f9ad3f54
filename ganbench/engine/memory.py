"""What training takes of a device's memory: tables of data, draws, states."""

from __future__ import annotations

import math
from dataclasses import dataclass

import psutil
from torch.utils import _pytree as pytree

from ganbench.components.data import Data
from ganbench.engine.data import Sources, resident_bytes, streamed_fields
from ganbench.engine.program import Program
from ganbench.engine.tables import sizes, training_tables
from ganbench.game.draws import CHUNK
from ganbench.machine.gpus import Gpu
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import StackConfig
from ganbench.text import size

STATES = 3
"""Times that a state is held at most: before a step, after it, and as it was before the step was prepared."""
CHUNKS = 3
"""Times that a chunk of draws is held at most: the one in use, the next, and the parts of that."""
_INDEX_BYTES = 4


@dataclass(frozen=True)
class Demand:
    """Bytes that one run takes on its device at most, without what its step computes.

    Arguments:
        tables: of the data, which all runs of a stack share.
        draws: random numbers and row numbers of the chunks that are held.
        state: parameters, memory of the optimiser and buffers, as often as they are held.
    """

    tables: int
    draws: int
    state: int

    def of(self, memory: float) -> str:
        """As a part of a device's memory, in words."""
        parts = f"the data {size(self.tables)}, draws {size(self.draws)} and its state {size(self.state)}"
        return f"of {size(memory)}, a single run takes for {parts}, and more for what a step computes"


def memory_report(config: StackConfig, catalogue: Catalogue, sources: Sources, gpu: Gpu | None = None) -> str:
    """What the first run of a stack takes of the GPU's memory, or else of the machine's, in words."""
    variant = config["variants"][0]
    data = sources.load(variant["dataset"])
    program = Program(variant, catalogue, data)
    memory = math.inf if gpu is None else gpu.memory
    state = sum(tensor.nbytes for tensor in pytree.tree_leaves(program.initial(0, config["values"][0])))
    chunk = chunk_bytes(program, data, memory)
    demand = Demand(resident_bytes(data, memory), CHUNKS * chunk, STATES * state)
    return demand.of(psutil.virtual_memory().total if gpu is None else gpu.memory)


def chunk_bytes(program: Program, data: Data, memory: float) -> int:
    """Bytes that one run reads in a chunk: its draws, and rows of tables that do not lie on the device."""
    numbers = sum(math.prod(draw.shape) for draw in program.draws().values()) * program.dtype.itemsize
    orders = len(sizes(training_tables(data))) * _INDEX_BYTES
    rows = sum(getattr(data, field)[:1].nbytes for field in streamed_fields(data, memory))
    return CHUNK * len(program.turns) * (numbers + program.batch_size * (orders + rows))
