"""Each technique changes exactly the arrows that it says it does: those whose hooks it has."""

from __future__ import annotations

import pytest
import torch
from torch.utils import _pytree as pytree
from toys import variant

from ganbench.components.base import create
from ganbench.components.data import Data
from ganbench.engine.program import Program
from ganbench.errors import BadInput
from ganbench.game.draws import draw, isolated_rng, stream
from ganbench.game.fields import functional_field
from ganbench.game.nets import Nets, named_buffers, purified
from ganbench.game.update_rules import Clock, per_player
from ganbench.plugins.describe import ARROWS, wrapped
from ganbench.plugins.discovery import discover
from ganbench_builtin import techniques
from ganbench_builtin.techniques.ema import EMA

DOUBLE = torch.float64
BATCH, STEPS = 6, 12
OPTIONS = {"gradient-clipping": {"max_norm": 1e-3}, "weight-clipping": {"limit": 1e-3}}
"""Where a default does nothing on so small a game."""
SMALL = {
    "mlp-gan": {"hidden": [8]},
    "dcgan": {"width": 4, "latent": 4},
    "mlp-vae": {"hidden": [8], "latent": 2},
}
LOSSES = {"mlp-gan": "non-saturating", "dcgan": "non-saturating", "mlp-vae": "elbo"}


@pytest.fixture(scope="module")
def world():
    catalogue = discover()
    images = torch.rand((20, 1, 28, 28), generator=stream("cpu", 0, "images")) * 2 - 1
    ring = create(catalogue.get("dataset", "ring").cls, {"size": 50}).load(None)
    pictures = Data(train=images, test=images[:2])
    return catalogue, {"mlp-gan": ring, "dcgan": pictures, "mlp-vae": pictures}


def made(world, cls, model):
    """The program of the technique on the model, or None where it does not fit."""
    catalogue, data = world
    loss = LOSSES[model]
    if cls().fits(catalogue.get("model", model).cls(), catalogue.get("loss", loss).cls()):
        return None
    players = ("vae",) if model == "mlp-vae" else ("generator", "discriminator")
    config = variant(
        model,
        loss,
        (*cls.requires, cls.name),
        SMALL | OPTIONS,
        {"name": "sgd", "lr": 0.1},
        players,
        batch=BATCH,
        steps=STEPS,
    )
    program = Program(config, catalogue, data[model])
    try:
        program.draws()
    except BadInput:
        return None
    return program, data[model]


def changed(program, data) -> set[str]:
    """The arrows that do something else than they would without the technique."""
    state = program.initial(0, {})
    state = state._replace(joint={p: 4 * flat for p, flat in state.joint.items()})  # slopes above 1, too
    kept = {name: {k: torch.full_like(v, 0.5) for k, v in own.items()} for name, own in state.buffers.items()}
    keepers = state.buffers.keys() - program.model.networks(program.spec).keys()  # as if of a run on its way
    state = state._replace(buffers={**state.buffers, **{name: kept[name] for name in keepers}})
    batch = draw(program.draws(), 0, "batch", DOUBLE)
    batch |= {"data": data.train[:BATCH].double(), "step": torch.tensor(2.0, dtype=DOUBLE)}
    game, rule, wrap = program.bound({})
    players = list(program.layout.slots)
    with isolated_rng(0, "init"):
        plain = program.model.networks(program.spec)
    plain_nets = {name: purified(net).double() for name, net in plain.items()}
    with isolated_rng(0, "init"):
        nets = program.networks()
    found = set()
    if described(nets) != described(plain_nets) or not same(values(nets), values(plain_nets)):
        found.add("network")

    def point():
        named = {
            net: tensors
            for player, flat in state.joint.items()
            for net, tensors in program.layout.named(player, program.layout.views(player, flat)).items()
        }
        return Nets(program.modules, named, state.buffers)

    for player in players:
        out = program.model.play(player, point(), batch)
        if not same(out, game.play(player, point(), batch)):
            found.add("play")
        own = getattr(program.loss, player)(out)
        if not same(own, game.objective(player, point(), batch, out)):
            found.add("objective")
    field = functional_field(game, program.modules)
    for player in players:
        flows = [one((player,), state.joint, state.buffers, batch).gradients for one in (field, wrap(field))]
        if not same(*flows):
            found.add("field")
    if not same(*(trajectory(one, state.joint) for one in (per_player(program.optimizers), rule))):
        found.add("rule")
    return found


def trajectory(rule, joint):
    """Points under gradients that change, and where metrics would be taken."""
    memory, path = rule.init(joint), []
    for k in range(1, STEPS + 1):
        generator = stream("cpu", 0, "gradient", k)
        gradients = {
            p: torch.randn(flat.shape, generator=generator, dtype=DOUBLE) for p, flat in joint.items()
        }
        joint, memory = rule.apply(gradients, joint, memory, Clock(k, dict.fromkeys(joint, k), last=True))
        path.append((joint, rule.evaluated(joint, memory)))
    return path


def described(nets):
    return {name: repr(net) for name, net in nets.items()} | {
        name + "/buffers": sorted(buffers) for name, buffers in named_buffers(nets).items()
    }


def values(nets):
    return {name: list(net.state_dict().values()) for name, net in nets.items()}


def same(a, b) -> bool:
    left, right = pytree.tree_leaves(a), pytree.tree_leaves(b)
    return len(left) == len(right) and all(
        x.shape == y.shape and torch.equal(x, y) for x, y in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("cls", techniques.ALL, ids=lambda cls: cls.name)
def test_a_technique_changes_the_arrows_that_it_wraps(world, cls):
    programs = [made(world, cls, model) for model in LOSSES]
    fitting = [found for found in programs if found]
    assert fitting, "it fits no model here"
    program, data = fitting[0]
    expected = set(wrapped(cls)).union(
        *(wrapped(other) for other in techniques.ALL if other.name in cls.requires)
    )
    assert changed(program, data) == expected
    assert expected <= set(ARROWS)


def test_nothing_is_changed_by_nothing(world):
    program, data = made(world, EMA, "mlp-gan")
    program.techniques = []
    program.modules = program._template(training=True)
    assert changed(program, data) == set()
