"""Checks of executors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganbench.testing.case import Case
from ganbench.testing.findings import NotTried, Unmet, check
from ganbench.testing.untouched import furthest, same

State = tuple[Tensor, Tensor, Tensor]
"""What `_step` takes: it writes the first two, and reads the third."""


@check("executor")
def does_what_the_step_does(case: Case) -> None:
    """Three calls leave the tensors where three steps do, though what the step only reads has changed.

    Fix: return a function that updates the tensors of `written` where they lie, and copies none of `read`.
    """
    state, run = _prepared(case)
    expected = _fresh(state[0].device)
    for call in range(3):
        for *_, read in (state, expected):
            read.fill_(call + 1)  # as a chunk is overwritten by the next
        run()
        _step(*expected)
    off = furthest(state, expected)
    # float32, and compilers may reorder sums: equal to rounding, not bit for bit
    if not off < 1e-5:
        raise Unmet(f"after 3 calls the state is off by {off:.1g}")


@check("executor")
def leaves_the_state_until_called(case: Case) -> None:
    """Preparing takes no step.

    Fix: put back what tracing or warming up has changed.
    """
    state, _ = _prepared(case)
    if not same(state, _fresh(state[0].device)):
        raise Unmet("`prepare` has changed the state")


def _prepared(case: Case) -> tuple[State, Callable[[], None]]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    why = case.component.available(device.type)
    if why:
        raise NotTried(why)
    x, y, scale = _fresh(device)
    return (x, y, scale), case.component.prepare(_step, (x, y), (scale,))


def _fresh(device: torch.device) -> State:
    return (
        torch.arange(4.0, device=device),
        torch.arange(4.0, device=device) + 1,
        torch.ones(4, device=device),
    )


def _step(x: Tensor, y: Tensor, scale: Tensor) -> None:
    # y reads the new x, so that a reordered step gives other numbers
    x.copy_(x - 0.1 * scale * y)
    y.copy_(y + 0.1 * scale * x)
