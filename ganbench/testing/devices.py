"""A check that a component computes where its game lies.

A tensor that is kept on the CPU breaks no run there, and every run on a GPU. It is found without a GPU, too:
by a step on torch's device "meta", whose tensors have no numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ganbench.components.kinds import Model
from ganbench.engine.sampling import Sampler
from ganbench.testing.case import Case, Trial
from ganbench.testing.findings import NotTried, Unmet, check, describe_error, place
from ganbench.testing.models import sample_batch

META = torch.device("meta")
Tensors = TypeVar("Tensors")


@check("model", "loss", "technique")
def keeps_nothing_on_the_cpu(case: Case) -> None:
    """A step, and sampling, can be taken on any device: no tensor is kept on the CPU or copied from or to it.

    Fix: make constants where the batch lies (x.new_full, torch.arange(n, device=x.device)), or register them
    as buffers of a network, which are moved with it.
    """
    trial = case.flowing
    uses = [_step_of(trial)] + ([_sampling_of(trial)] if issubclass(case.cls, Model) else [])
    try:
        with _OneDevice():  # type: ignore[no-untyped-call]
            for use in uses:
                use()
    except _AcrossDevices as across:
        raise Unmet(f"{across}{place(across, case.cls)}") from None
    except (Exception, SystemExit) as error:
        # such as .item(): there are no numbers
        why = describe_error(error, case.cls)
        raise NotTried(f"without numbers no step can be taken: {why}; see `mappable`") from None


def _step_of(trial: Trial) -> Callable[[], object]:
    """A function that takes one step on `meta`."""
    state, batch = _moved(trial.state()), _moved(trial.batch())
    number = torch.ones((), dtype=torch.float64, device=META)
    return lambda: trial.program.step({})(state, [batch] * len(trial.program.turns), number)


def _sampling_of(trial: Trial) -> Callable[[], object]:
    """A function that draws samples on `meta`, and asks the model what it shows."""
    state, batch, sampler = _moved(trial.state()), _moved(sample_batch(trial)), Sampler(trial.program)

    def sample() -> None:
        sampler.sample(state.joint, state.buffers, batch)
        sampler.inspect(state.joint, state.buffers, batch)

    return sample


def _moved(tensors: Tensors) -> Tensors:
    moved: Tensors = pytree.tree_map(lambda tensor: tensor.to(META), tensors)
    return moved


class _AcrossDevices(Exception):
    """An operation took tensors of two devices, or copied from one to the other."""


class _OneDevice(TorchDispatchMode):
    """Refuses what takes tensors of two devices; numbers on the CPU apart, as CUDA does.

    torch's own operations on `meta` let many of those pass.
    """

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        given = [x for x in pytree.tree_leaves((args, kwargs or {})) if isinstance(x, Tensor)]
        here = [tensor for tensor in given if tensor.device.type == "cpu" and tensor.dim()]
        target = (kwargs or {}).get("device")
        operation = func._schema.name.removeprefix("aten::")
        if here and (len(here) < len(given) or target == META):
            shape = tuple(here[0].shape)
            raise _AcrossDevices(f"it keeps a tensor on the CPU: one of shape {shape}, met in {operation}")
        if given and not here and target is not None and torch.device(target).type == "cpu":  # type: ignore[call-overload]
            raise _AcrossDevices(f"it copies a tensor to the CPU, in {operation}")
        return func(*args, **(kwargs or {}))
