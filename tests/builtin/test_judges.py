"""Built-ins act on the players that judge, whatever their names and however many there are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from judged_toys import ToyJudged
from toys import variant

import ganbench
from ganbench.components.kinds import Evaluation
from ganbench.engine.game_view import GameView
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.executors import Eager
from ganbench.game.draws import stream
from ganbench.plugins import discovery
from ganbench_builtin.losses.minimax import Minimax
from ganbench_builtin.metrics.discriminator_gap import DiscriminatorGap
from ganbench_builtin.metrics.duality_gap import DualityGap
from ganbench_builtin.metrics.singular_values import SingularValues
from ganbench_builtin.models.cyclegan import CycleGAN
from ganbench_builtin.techniques import ALL
from ganbench_builtin.techniques.r1 import R1
from ganbench_builtin.techniques.r2 import R2

CPU = torch.device("cpu")
USUAL, CRITIC, TWO = ("discriminator",), ("critic",), ("local", "global_")
FITTING = sorted(cls.name for cls in ALL if cls().fits(ToyJudged(), Minimax()) is None)
OPTIONS = {  # so that three steps show what a technique does
    "adaptive-augment": {"start": 0.5, "interval": 2},
    "gradient-clipping": {"max_norm": 1e-3},
    "lookahead": {"k": 2},
    "minibatch-discrimination": {"kernels": 3, "dims": 2},
    "orthogonal-regularisation": {"players": "both", "beta": 1.0},
    "schedule": {"warmup": 1.0},
    "weight-clipping": {"limit": 0.05},
    "ema": {"decay": 0.5},
}
ON_JUDGES = sorted(
    {*FITTING} & {cls.name for cls in ALL if cls().fits(ToyJudged(called=()), Minimax()) is not None}
)


@pytest.fixture(scope="module")
def catalogue():
    return discovery.discover([Path(__file__).parents[1] / "judged_toys.py"])


@pytest.fixture(scope="module")
def images():
    drawn = torch.randn(40, 1, 8, 8, generator=stream("cpu", 0, "images"))
    return ganbench.Data(train=drawn[:24].clamp(-1, 1), test=drawn[24:].clamp(-1, 1))


def program(catalogue, data, called, *techniques, **options):
    named = {"toy-judged": {"called": list(called)}} | {name: OPTIONS.get(name, {}) for name in techniques}
    players = ("generator", *called)
    config = variant("toy-judged", "minimax", techniques, named | options, players=players, steps=3)
    return Program(config, catalogue, data)


def trained(made, data, trainer=Looped):
    training = trainer(made, Runs((0, 1), ({}, {})), data, CPU, *([Eager()] if trainer is Mapped else []))
    return torch.as_tensor(training.advance(3)), training.state(), training


def view_of(made, data):
    state = made.initial(0, {})
    return GameView(made, {}, data, state.joint, state.buffers, 0, 1)


def renamed(tree):
    """A state of the game with a critic as if it were called discriminator."""
    if not isinstance(tree, dict):
        return tree
    return {key.replace("critic", "discriminator"): renamed(value) for key, value in tree.items()}


@pytest.mark.parametrize("name", FITTING)
def test_what_a_judge_is_called_changes_no_number(catalogue, images, name):
    rows, state, _ = trained(program(catalogue, images, USUAL, name), images)
    other_rows, other_state, _ = trained(program(catalogue, images, CRITIC, name), images)
    assert torch.equal(rows.nan_to_num(), other_rows.nan_to_num())
    for tree, other in zip(state, other_state, strict=True):
        torch.testing.assert_close(renamed(other), tree, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", ON_JUDGES)
def test_a_technique_acts_on_each_of_two_judges(catalogue, images, name):
    made = program(catalogue, images, TWO, name)
    rows, state, _ = trained(made, images)
    _, without, _ = trained(program(catalogue, images, TWO), images)
    changed = {
        player: flat.shape != without.joint[player].shape or not torch.equal(flat, without.joint[player])
        for player, flat in state.joint.items()
    }
    assert any(changed.values())
    if name not in ("feature-matching", "unrolled"):  # of the generator: it changes first, they follow
        assert changed["local"]
        assert changed["global_"]
    assert rows[..., [column[1] == "logit_gap" for column in made.columns]].isfinite().all()


@pytest.mark.parametrize("name", ["adaptive-augment", "lecam", "r2", "spectral-norm", "unrolled"])
def test_two_judges_are_the_same_looped_and_mapped(catalogue, images, name):
    made = program(catalogue, images, TWO, name)
    (rows, state, _), (mapped_rows, mapped_state, _) = (
        trained(made, images, how) for how in (Looped, Mapped)
    )
    torch.testing.assert_close(rows, mapped_rows, rtol=1e-9, atol=1e-9, equal_nan=True)
    torch.testing.assert_close(state, mapped_state, rtol=1e-9, atol=1e-9)


def test_penalties_are_of_each_judges_own_slope(catalogue, images):
    view, plain = (view_of(program(catalogue, images, TWO, *names), images) for names in (("r1",), ()))
    batch = plain.batch()
    for judge in TWO:
        x = batch["data"].clone().requires_grad_()
        (slope,) = torch.autograd.grad(plain.nets(plain.joint)[judge](x).sum(), x)
        expected = slope.square().flatten(1).sum(1).mean() / 2
        added = view.loss(judge, view.joint, batch) - plain.loss(judge, plain.joint, batch)
        torch.testing.assert_close(added, expected, rtol=1e-9, atol=1e-12)
    assert view.loss("generator", view.joint, batch) == plain.loss("generator", plain.joint, batch)


def test_each_judge_has_noise_and_state_of_its_own(catalogue, images):
    made = program(catalogue, images, TWO, "instance-noise", "lecam", "spectral-norm")
    assert [role for role in made.draws() if "noise/" in role] == [f"instance-noise/{n}" for n in range(6)]
    buffers = made.initial(0, {}).buffers
    assert {net for net, named in buffers.items() if named} == {*TWO, "lecam-local", "lecam-global_"}
    one = program(catalogue, images, CRITIC, "lecam").initial(0, {}).buffers
    assert {net for net, named in one.items() if named} == {"lecam"}


def test_weights_of_every_judge_stay_within_the_limit(catalogue, images):
    _, state, _ = trained(program(catalogue, images, TWO, "weight-clipping"), images)
    largest = {player: flat.abs().max().item() for player, flat in state.joint.items()}
    assert largest["local"] == largest["global_"] == 0.05
    assert largest["generator"] > 0.05


def test_averages_are_of_who_does_not_judge(catalogue, images):
    _, state, _ = trained(program(catalogue, images, TWO, "ema"), images)
    assert [key for key in state.memory if key.endswith("/ema")] == ["generator/ema"]


class Split(ToyJudged):
    """Its one judge has two networks."""

    def players(self):
        return {"generator": ("generator",), "critic": ("near", "far")}


class Lonely(ToyJudged):
    """Nobody generates."""

    def players(self):
        return {"critic": ("critic",)}


def test_what_does_not_fit_says_why():
    assert R1().fits(Split(), Minimax()) == (
        "r1 acts on one network of the 'critic', and toy-judged has near, far"
    )
    assert R1().fits(CycleGAN(), Minimax()) == (
        "r1 acts on one network of the 'discriminator', "
        "and cyclegan has discriminator_target, discriminator_source"
    )
    assert R1().fits(ToyJudged(called=()), Minimax()) == (
        "r1 acts on the discriminator, and toy-judged has none"
    )
    assert R1().fits(Lonely(), Minimax()) is None
    assert R2().fits(Lonely(), Minimax()) == (
        "r2 reads generated samples, and toy-judged has no player that makes them"
    )


# -- metrics


def measured(metric, catalogue, data, called, view=None):
    view = view or view_of(program(catalogue, data, called), data)
    evaluation = Evaluation(data.test, data, None, None, torch.Generator(), view.joint, view=view)
    return metric.measure(evaluation)


@pytest.mark.parametrize("metric", [DualityGap(steps=3), DiscriminatorGap(batches=2), SingularValues()])
def test_a_metric_of_judges_does_not_ask_for_their_names(catalogue, images, metric):
    usual, other = (measured(metric, catalogue, images, called) for called in (USUAL, CRITIC))
    torch.testing.assert_close(usual, other, rtol=0, atol=0, equal_nan=True)


def test_singular_values_are_of_all_judges(catalogue, images):
    view = view_of(program(catalogue, images, TWO), images)
    found = measured(SingularValues(), catalogue, images, TWO, view)
    layers = [w for judge in TWO for w in view.nets(view.joint).parameters(judge).values() if w.ndim > 1]
    norms = torch.stack([torch.linalg.matrix_norm(weight, 2) for weight in layers])
    assert len(layers) == 5
    assert found["singular-max"] == pytest.approx(norms.max().item(), rel=1e-9)
    assert found["singular-log-product"] == pytest.approx(norms.log().sum().item(), rel=1e-9)


def test_the_duality_gap_sums_what_all_judges_win(catalogue, images):
    view = view_of(program(catalogue, images, TWO), images)
    still = DualityGap(steps=1, lr=1e-300, batches=2)  # nobody moves: no gap
    assert measured(still, catalogue, images, TWO, view)["duality-gap"] == 0
    assert measured(DualityGap(steps=20, batches=2), catalogue, images, TWO, view)["duality-gap"] > 0
