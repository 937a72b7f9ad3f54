"""Whether components can be mapped over a stack: tried out, not trusted."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from ganbench._version import CORE
from ganbench.components.data import Data
from ganbench.engine.program import Program, Values
from ganbench.engine.trainers import Mapped, Runs, is_out_of_memory, one_by_one
from ganbench.executors.eager import Eager
from ganbench.plugins.discovery import Catalogue
from ganbench.text import first_line

STEPS = 2
"""The first step finds what cannot be mapped; the second reads the state that the first has written."""
TOLERANCE = 1e-8
"""Between the two ways after STEPS steps in float64: far above rounding, far below any wrong formula."""


def why_not_mappable(
    config: Mapping[str, Any], values: Sequence[Values], catalogue: Catalogue, data: Data
) -> str | None:
    """None where two runs, two steps and float64 give the same one by one and mapped; else a sentence.

    Arguments:
        values: swept values of the runs; the first and the last are tried.
    """
    device = data.test.device
    # In float32 the two ways differ by rounding, which a chaotic game amplifies.
    program = Program({**config, "precision": "float64"}, catalogue, data)
    runs = Runs((0, 1), (values[0], values[-1]))
    # What the global generator draws depends on the other runs of the stack.
    generator = torch.get_rng_state()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        looped, mapped = one_by_one(program, runs, data, device), Mapped(program, runs, data, device, Eager())
        looped.advance(STEPS)  # what raises here is a crash, not a matter of mapping
        try:
            mapped.advance(STEPS)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return f"it cannot be mapped: {_first_sentence(error)}{_line(error)}"
    if not torch.equal(generator, torch.get_rng_state()):
        return "it draws from torch's global generator"
    # vmap falls back to a loop over runs and only warns of it: mapping would gain nothing.
    slow = [str(warning.message) for warning in caught if "performance drop" in str(warning.message)]
    if slow:
        return f"it has an operation without a batching rule: {slow[0].partition('.')[0]}"
    pairs = zip(pytree.tree_leaves(looped.state()), pytree.tree_leaves(mapped.state()), strict=True)
    worst = max(((a - b).abs().max().item() for a, b in pairs if a.numel()), default=0.0)
    # `not <` instead of `>=`: a NaN difference is a difference.
    if not worst < TOLERANCE:
        return f"mapped and one by one it differs by {worst:.1g} after {STEPS} steps in float64"
    return None


def _first_sentence(error: Exception) -> str:
    return first_line(error).partition(". ")[0]


def _line(error: Exception) -> str:
    """Where outside of torch and the core it was raised, as " (file.py:12)"; empty where nowhere."""
    core = tuple(f"{folder}{os.sep}" for folder in (Path(torch.__file__).parent, CORE))
    # From the innermost frame outwards: the author's line is the last one that is not torch's or ours.
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(core):
            return f" ({Path(frame.filename).name}:{frame.lineno})"
    return ""
