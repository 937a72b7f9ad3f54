"""What a model and a technique can do beside their losses: conditions, terms, state, other domains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree
from toys import ToyGAN, ToyLoss, variant

import ganbench
from ganbench.components.data import Data
from ganbench.engine import trainers
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.program import Program
from ganbench.engine.tables import batch_of
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.executors import Eager
from ganbench.game import Flow
from ganbench.game.draws import CHUNK, stream
from ganbench.game.nets import BoundNets, Nets, named_buffers

CPU = torch.device("cpu")
DOUBLE = torch.float64
CLASSES = 3


class Labelled(nn.Module):
    """Logits of points and their labels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.net = nn.Sequential(nn.Linear(2 + classes, 4), nn.Tanh(), nn.Linear(4, 1))

    def forward(self, x, labels):
        hot = labels[:, None] == torch.arange(self.classes)  # one_hot looks at its values: vmap refuses
        return self.net(torch.cat([x, hot.to(x.dtype)], dim=1))


class Tally(nn.Module):
    """Keeps the sum of what it was shown. It has no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(()))

    def forward(self, x):
        self.total = self.total + x.detach().mean()
        return self.total


@dataclass(frozen=True)
class Mover(ToyGAN):
    """Moves labelled points of the source to the data; has a term, a tally and a player without a loss."""

    name = "mover"
    pull: float = 0.5

    def players(self):
        return {**super().players(), "shift": ("shift",)}

    def turns(self):
        return (*super().turns(), ("shift",))

    def networks(self, spec):
        nets = super().networks(spec)
        return {**nets, "discriminator": Labelled(spec.classes), "shift": nn.Linear(2, 2), "tally": Tally()}

    def conditioned(self, nets, batch):
        return nets.around("discriminator", lambda call: lambda x: call(x, batch["labels"]))

    def play(self, player, nets, batch):
        moved = nets["shift"](batch["source"])
        fake = moved + nets["generator"](batch["noise"])
        out = {"fake": fake, "moved": moved, "step": batch["step"]}
        if player == "shift":
            return out
        out["fake_logits"] = nets["discriminator"](fake)
        if player == "discriminator" or self.pairs:
            out["real_logits"] = nets["discriminator"](batch["data"])
        if player == "discriminator":
            out["seen"] = nets["tally"](out["real_logits"])
        return out

    def terms(self, player, out):
        if player == "discriminator":
            return None
        return self.pull * out["moved"].square().mean() / out["step"]

    def sample(self, nets, batch):
        return nets["shift"](batch["source"]) + nets["generator"](batch["noise"])

    def inspect(self, nets, batch):
        return {"doubled": 2 * batch["source"], "noise": batch["noise"]}


@dataclass(frozen=True)
class Paired(ToyLoss):
    """Reads both logits on the generator's turn."""

    name = "paired"
    pairs = True

    def generator(self, out):
        return nn.functional.softplus(out["real_logits"] - out["fake_logits"]).mean()


@dataclass(frozen=True)
class Blur(ganbench.Technique):
    """Noise on what the discriminator sees, less with every step; a tally of its own; a budget."""

    name = "blur"
    scale: float = 0.1
    steps: int = 0

    def within(self, steps):
        return replace(self, steps=steps)

    def networks(self, build, spec):
        return super().networks(build, spec) | {"blur": Tally()}

    def play(self, inner):
        def blurred(player, nets, batch):
            noises = iter(batch["blur/noise"])
            size = self.scale * (1 - batch["step"] / self.steps)
            noisy = nets.around("discriminator", lambda call: lambda x: call(x + size * next(noises)))
            out = inner(player, noisy, batch)
            if player == "discriminator":
                nets["blur"](out["real_logits"])
            return out

        return blurred

    def draws(self, spec, batch):
        return {"blur/noise": ganbench.Draw((2, batch, *spec.shape))}


@dataclass(frozen=True)
class Slope(ganbench.Technique):
    """The gradient of half the square of the gradient, which differentiates the field."""

    name = "slope"
    differentiates = True

    def field(self, inner):
        def field(turn, joint, buffers, batch):
            flow = inner(turn, joint, buffers, batch)

            def energy(joint):
                return sum(
                    g.square().sum() / 2 for g in inner(turn, joint, buffers, batch).gradients.values()
                )

            slope = torch.func.grad(energy)(joint)
            return flow._replace(gradients={p: g + 0.1 * slope[p] for p, g in flow.gradients.items()})

        return field


@dataclass(frozen=True)
class Clocks(ganbench.Technique):
    """Writes down every clock."""

    name = "clocks"

    def rule(self, inner):
        def apply(gradients, joint, memory, clock):
            CLOCKS.append(clock)
            return inner.apply(gradients, joint, memory, clock)

        return inner._replace(apply=apply)


CLOCKS: list = []
SHELF = {cls.name: cls for cls in (Mover, ToyGAN, ToyLoss, Paired, Blur, Slope, Clocks)}
CATALOGUE = SimpleNamespace(get=lambda kind, name: SimpleNamespace(cls=SHELF[name]))
PLAYERS = ("generator", "discriminator", "shift")


@pytest.fixture(scope="module")
def data():
    def points(n, role):
        return torch.randn(n, 2, generator=stream("cpu", 0, role))

    return Data(
        train=points(30, "train"),
        test=points(7, "test"),
        train_labels=torch.arange(30) % CLASSES,
        test_labels=torch.arange(7) % CLASSES,
        classes=CLASSES,
        source=points(20, "source"),
        test_source=points(5, "test source"),
    )


def program(data, loss="toy-loss", techniques=(), **options):
    config = variant("mover", loss, tuple(techniques), {"mover": options}, players=PLAYERS, steps=100)
    return Program(config, CATALOGUE, data)


def trained(made, data, trainer=Looped, steps=CHUNK):
    trainer = trainer(made, Runs((0, 1), ({}, {})), data, CPU, *([Eager()] if trainer is Mapped else []))
    return trainer.advance(steps), trainer


@pytest.mark.slow
@pytest.mark.parametrize("techniques", [(), ("blur",), ("slope",), ("blur", "slope")], ids="+".join)
@pytest.mark.parametrize("loss", ["toy-loss", "paired"])
def test_alone_as_in_a_stack(data, loss, techniques):
    made = program(data, loss, techniques)
    (rows, looped), (mapped_rows, mapped) = (trained(made, data, how) for how in (Looped, Mapped))
    torch.testing.assert_close(rows, mapped_rows, rtol=1e-9, atol=1e-9, equal_nan=True)
    for a, b in zip(*(pytree.tree_leaves(t.state()) for t in (looped, mapped)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    start = made.initial(0, {}).joint
    assert all((flat[0] - start[player]).norm() > 1e-4 for player, flat in looped.state().joint.items())


def test_state_is_kept_by_networks_that_belong_to_nobody(data):
    _, looped = trained(program(data, techniques=("blur",)), data)
    assert set(looped.state().buffers) >= {"tally", "blur"}
    assert looped.state().buffers["tally"]["total"].abs().min() > 0
    assert "tally" not in {slot.net for slots in looped.program.layout.slots.values() for slot in slots}


def test_a_player_without_a_loss_has_its_terms_alone(data):
    made = program(data)
    game, *_ = made.bound({})
    out = {"moved": torch.full((4, 2), 3.0), "step": torch.tensor(2.0)}
    assert game.objective("shift", None, {}, out) == pytest.approx(0.5 * 9 / 2)


def test_terms_are_added_to_the_loss(data):
    game, *_ = program(data).bound({})
    out = {"moved": torch.ones(4, 2), "step": torch.tensor(1.0), "fake_logits": torch.zeros(4)}
    assert game.objective("generator", None, {}, out) == pytest.approx(0.5 + torch.tensor(2.0).log().item())


def test_a_budget_reaches_the_technique(data):
    made = program(data, techniques=("blur",))
    assert made.techniques[0].steps == 100


def test_both_domains_have_their_own_order(data):
    _, looped = trained(program(data), data, steps=1)
    turn = looped._chunk[0]
    assert turn["index"].shape == turn["source_index"].shape == (CHUNK, 2, 8)
    assert turn["index"].max() == 29
    assert turn["source_index"].max() == 19
    assert not torch.equal(turn["source_index"], turn["index"] % 20)


@pytest.mark.parametrize("how", [Looped, Mapped])
def test_streamed_data_give_the_same_run(data, monkeypatch, how):
    made = program(data)
    resident = trained(made, data, how)
    monkeypatch.setattr(trainers, "streams", lambda table, device: table.dim() > 1)
    streamed = trained(made, data, how)
    assert set(streamed[1].tables) == {"labels"}
    assert torch.equal(*(torch.nan_to_num(rows) for rows, _ in (resident, streamed)))
    # the second chunk was gathered while the first one was trained
    assert torch.equal(*(torch.nan_to_num(trainer.advance(5)) for _, trainer in (resident, streamed)))


def test_clocks_count_updates():
    CLOCKS.clear()
    blob = Data(train=torch.zeros(20, 2), test=torch.zeros(1, 2))
    config = variant("toy-gan", "toy-loss", ("clocks",), {"toy-gan": {"discriminator_turns": 2}})
    Looped(Program(config, CATALOGUE, blob), Runs((0,), ({},)), blob, CPU).advance(3)
    assert [clock.step for clock in CLOCKS] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [clock.updates.get("discriminator") for clock in CLOCKS] == [1, 2, None, 3, 4, None, 5, 6, None]
    assert [clock.updates.get("generator") for clock in CLOCKS] == [
        None,
        None,
        1,
        None,
        None,
        2,
        None,
        None,
        3,
    ]
    assert [clock.last for clock in CLOCKS] == [False, False, True] * 3


def test_metrics_see_what_the_samples_were_made_for(data):
    made = program(data)
    settings = {"samples": 6, "metrics": []}
    evaluator = Evaluator(settings, CATALOGUE, made, Runs((0,), ({},)), data)
    seen: list[ganbench.Evaluation] = []
    evaluator._metrics = [Watch(seen)]
    state = trainers.stacked([made.initial(0, {})])
    evaluator.measure(state, 1, [0])
    evaluator.measure(state, 2, [0])
    first, second = seen
    assert first.samples.shape == (6, 2)
    assert {name: tuple(t.shape) for name, t in first.given.items()} == {
        "data": (6, 2),
        "labels": (6,),
        "source": (6, 2),
    }
    assert torch.equal(first.given["source"][5], first.given["source"][0])  # there are five
    assert first.given["source"] is second.given["source"]
    inspected = first.inspected()
    assert inspected is first.inspected()
    assert torch.equal(inspected["doubled"], 2 * inspected["given/source"])
    assert len(inspected["noise"]) == 5  # distinct rows
    assert not torch.equal(inspected["noise"], second.inspected()["noise"])
    assert len(torch.unique(inspected["given/source"], dim=0)) == 5
    with pytest.raises(ganbench.BadInput, match="features, not classes"):
        first.labels("", first.samples)


class Watch(ganbench.Metric):
    """Keeps what it sees."""

    name = "watch"
    values = {"watched": "higher"}

    def __init__(self, seen: list) -> None:
        self.seen = seen

    def measure(self, evaluation: ganbench.Evaluation) -> Mapping[str, float]:
        self.seen.append(evaluation)
        return {"watched": 0.0}


@pytest.mark.parametrize("bound", [False, True])
def test_calls_around_a_network(bound):
    modules = {"a": nn.BatchNorm1d(2), "b": nn.Linear(2, 2)}
    modules = {name: module.to(DOUBLE) for name, module in modules.items()}
    from ganbench.game.nets import purified

    modules = {name: purified(module) for name, module in modules.items()}
    parameters = {name: dict(module.named_parameters()) for name, module in modules.items()}
    nets = BoundNets(modules) if bound else Nets(modules, parameters, named_buffers(modules))
    around = nets.around("a", lambda call: lambda x: call(2 * x)).around(
        "a", lambda call: lambda x: call(x) + 1
    )
    x = torch.randn(5, 2, generator=stream("cpu", 0, "x"), dtype=DOUBLE)
    before = named_buffers(modules)["a"]["running_mean"].clone()
    torch.testing.assert_close(around["a"](x), around.frozen["a"](x))
    assert torch.equal(around["b"](x), nets["b"](x))
    held = named_buffers(modules) if bound else nets.buffers
    torch.testing.assert_close(held["a"]["running_mean"], before + 0.1 * 2 * x.mean(0))  # moved once
    assert around.parameters("b").keys() == {"weight", "bias"}
    assert around.parameters("b")["weight"] is parameters["b"]["weight"]


def test_flow_of_a_slope_is_the_gradient_of_the_energy(data):
    made = program(data, techniques=("slope",))
    plain = program(data)
    state = made.initial(0, {})
    looped = Looped(made, Runs((0,), ({},)), data, CPU)
    looped.load_chunk()
    raw = {role: tensor[0, 0] for role, tensor in looped._chunk[0].items()}
    batch = batch_of(raw, looped.tables, torch.tensor(1.0, dtype=DOUBLE), DOUBLE)
    fields = []
    for one in (plain, made):
        game, _, wrap = one.bound({})
        fields.append(wrap(ganbench.game.fields.functional_field(game, one.modules)))
    flows: list[Flow] = [field(("discriminator",), state.joint, state.buffers, batch) for field in fields]
    difference = flows[1].gradients["discriminator"] - flows[0].gradients["discriminator"]

    def energy(shift):
        joint = state.joint | {"discriminator": state.joint["discriminator"] + shift}
        flow = fields[0](("discriminator",), joint, state.buffers, batch)
        return flow.gradients["discriminator"].square().sum() / 2

    direction = torch.randn(difference.shape, generator=stream("cpu", 0, "direction"), dtype=DOUBLE)
    h = 1e-6
    slope = (energy(h * direction) - energy(-h * direction)) / (2 * h)
    torch.testing.assert_close(10 * (difference * direction).sum(), slope, rtol=1e-5, atol=1e-8)
