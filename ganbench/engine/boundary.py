"""Checks on what components return, made where they return it, so that an error names the component."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import TypeVar

from torch import Tensor, nn

from ganbench.components.data import DataSpec
from ganbench.components.kinds import BuildNetworks, Metric, Technique
from ganbench.errors import Broken, nearest
from ganbench.game import Flow, GradientField, Objective, Out, Play
from ganbench.game.update_rules import Rule
from ganbench.text import brief

Arrow = TypeVar("Arrow", Objective, Play, GradientField)

_WRAPPED = "return the wrapped function"


def scalar(kind: str, name: str, player: str, value: object) -> Tensor:
    """An objective's value, which is a tensor of no dimensions."""
    if isinstance(value, Tensor) and value.dim() == 0:
        return value
    fix = "return one number, such as its .mean()"
    if not isinstance(value, Tensor):
        fix = "return its value" if value is None else "return a tensor of no dimensions, not its .item()"
    raise Broken(kind, name, f"gave {shown(value)} on the {player}'s turn; {fix}")


def out_of(kind: str, name: str, player: str, out: object) -> Out:
    """What `play` gave, which is a dict."""
    if isinstance(out, dict):
        return out
    raise Broken(kind, name, f"gave {shown(out)} from play on the {player}'s turn; return a dict of tensors")


def flow_of(technique: Technique, flow: object) -> Flow:
    """What a technique's field gave."""
    if isinstance(flow, Flow):
        return flow
    fix = "return the flow, such as flow._replace(gradients=…)"
    raise Broken("technique", technique.name, f"gave {shown(flow)} from its field; {fix}")


def built(kind: str, name: str, nets: object) -> dict[str, nn.Module]:
    """The networks that a model makes, or a technique makes of them."""
    if not isinstance(nets, Mapping | nn.ModuleDict):
        raise Broken(kind, name, f"gave {shown(nets)} for its networks; return a dict of modules")
    for net, module in nets.items():
        if not isinstance(module, nn.Module):
            raise Broken(kind, name, f"gave {shown(module)} for the network {net!r}; return the module")
    return dict(nets.items())


def wrapped_networks(technique: Technique, build: BuildNetworks, spec: DataSpec) -> dict[str, nn.Module]:
    """The networks as a technique has them made."""
    return built("technique", technique.name, technique.networks(build, spec))


def wrapped_objective(technique: Technique, inner: Objective) -> Objective:
    """The objective as a technique wraps it."""
    outer = _wrapped(technique, "objective", inner)
    if outer is inner:
        return inner  # unchecked: a check would cost every step a call
    look = partial(scalar, "technique", technique.name)
    return lambda player, nets, batch, out: look(player, outer(player, nets, batch, out))


def wrapped_play(technique: Technique, inner: Play) -> Play:
    """The play as a technique wraps it."""
    outer = _wrapped(technique, "play", inner)
    if outer is inner:
        return inner
    look = partial(out_of, "technique", technique.name)
    return lambda player, nets, batch: look(player, outer(player, nets, batch))


def wrapped_field(technique: Technique, inner: GradientField) -> GradientField:
    """The field as a technique wraps it."""
    outer = _wrapped(technique, "field", inner)
    if outer is inner:
        return inner
    return lambda turn, joint, buffers, batch: flow_of(technique, outer(turn, joint, buffers, batch))


def wrapped_rule(technique: Technique, inner: Rule) -> Rule:
    """The rule as a technique wraps it."""
    outer: object = technique.rule(inner)
    if isinstance(outer, Rule):
        return outer
    fix = "return the rule, such as inner._replace(apply=…)"
    raise Broken("technique", technique.name, f"gave {shown(outer)} for its rule; {fix}")


def measured(metric: Metric, given: object) -> dict[str, float]:
    """What a metric measured: a number for each of its values, and nothing else."""
    first = next(iter(metric.values))
    if not isinstance(given, Mapping):
        what = f"gave {shown(given)}; return a dict of its values, such as {{{first!r}: 0.5}}"
        raise Broken("metric", metric.name, what)
    for name, value in given.items():
        if name not in metric.values:
            what = f"measured {brief(name)}, which is not among its `values`"
            raise Broken("metric", metric.name, f"{what}; {nearest(str(name), metric.values)}")
        # bool is a subclass of int in Python. NumPy's numbers are Real; tensors are not.
        if isinstance(value, bool) or not isinstance(value, Real):
            what = f"gave {shown(value)} for {name!r}; return a Python number"
            fix = ", such as its .item()" if isinstance(value, Tensor) else ""
            raise Broken("metric", metric.name, what + fix)
    # A missing value would leave a gap in the table that looks like an evaluation not taken.
    for name in metric.values:
        if name not in given:
            fix = "return all of its `values`: inf or nan where that is the truth"
            raise Broken("metric", metric.name, f"did not measure {name!r}; {fix}")
    return {name: float(value) for name, value in given.items()}


def shown(value: object) -> str:
    """A value as it can stand in a sentence."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return "None" if value is None else f"{brief(value)} ({type(value).__name__})"


def _wrapped(technique: Technique, arrow: str, inner: Arrow) -> Arrow:
    # A technique returns `inner` itself where it does not wrap this arrow.
    outer: Arrow = getattr(technique, arrow)(inner)
    if callable(outer):
        return outer
    raise Broken("technique", technique.name, f"gave {shown(outer)} for its {arrow}; {_WRAPPED}")
