"""The game as metrics see it."""

from __future__ import annotations

import pytest
import torch
from toys import variant

from ganbench.engine.game_view import PlayedGame
from ganbench.engine.program import Program


@pytest.fixture
def view(toys, blob):
    program = Program(variant(techniques=("toy-penalty",)), toys, blob)
    state = program.initial(0, {})
    return PlayedGame(program, {}, blob, state.joint, state.buffers, seed=0, step=5)


def test_batches_are_the_same_when_asked_again(view, blob):
    batch = view.batch()
    assert sorted(batch) == ["data", "noise", "step", "toy-penalty/shift"]
    assert all(torch.equal(tensor, view.batch()[name]) for name, tensor in batch.items())
    assert not torch.equal(batch["data"], view.batch(index=1)["data"])
    assert not torch.equal(batch["noise"], view.batch(index=1)["noise"])
    rows = {tuple(row) for row in blob.test.double().tolist()}
    assert {tuple(row) for row in view.batch("test")["data"].tolist()} <= rows
    assert batch["step"] == 5


def test_gradients_are_those_of_the_losses(view):
    batch, joint = view.batch(), view.joint
    gradients = view.gradients(joint, batch)
    h = 1e-6
    for player in view.players:
        direction = torch.sin(torch.arange(joint[player].numel(), dtype=torch.float64))
        up, down = (
            view.losses(joint | {player: joint[player] + s * h * direction}, batch)[player] for s in (1, -1)
        )
        torch.testing.assert_close(gradients[player] @ direction, (up - down) / (2 * h), rtol=1e-6, atol=1e-9)


def test_gradients_can_be_differentiated(view):
    batch, joint = view.batch(), view.joint

    def field(flat):
        return view.gradients(joint | {"generator": flat}, batch)["generator"]

    jacobian = torch.func.jacrev(field)(joint["generator"])
    torch.testing.assert_close(jacobian, jacobian.mT)  # one player's own part is a Hessian
    assert jacobian.abs().max() > 1e-6


def test_parameters_and_networks_are_at_the_point(view):
    named = view.parameters(view.joint)
    assert named["generator"]["0.weight"].shape == (4, 2)
    x = torch.ones(3, 2, dtype=torch.float64)
    moved = {player: flat * 2 for player, flat in view.joint.items()}
    assert not torch.equal(view.nets(view.joint)["discriminator"](x), view.nets(moved)["discriminator"](x))


def test_a_run_began_where_its_seed_says(toys, blob):
    program = Program(variant(), toys, blob)
    state = program.initial(3, {})
    later = {player: flat + 1 for player, flat in state.joint.items()}
    began = PlayedGame(program, {}, blob, later, state.buffers, seed=3, step=9).initial()
    assert all(torch.equal(began[player], flat) for player, flat in state.joint.items())


def test_one_players_objective_and_what_it_is_made_of(view):
    batch, joint = view.batch(), view.joint
    for player, loss in view.losses(joint, batch).items():
        assert torch.equal(view.loss(player, joint, batch), loss)
    out = view.play("discriminator", joint, batch)
    torch.testing.assert_close(out["real_logits"], view.nets(joint)["discriminator"](batch["data"]))
    assert sorted(view.play("generator", joint, batch)) == ["fake", "fake_logits"]


def test_samples_are_differentiable_in_their_noise(view, blob):
    batch = view.sample_batch(5)
    assert {name: len(tensor) for name, tensor in batch.items() if tensor.dim()} == {"data": 5, "noise": 5}
    assert all(torch.equal(tensor, view.sample_batch(5)[name]) for name, tensor in batch.items())
    rows = {tuple(row) for row in blob.test.double().tolist()}
    assert {tuple(row) for row in batch["data"].tolist()} <= rows
    samples = view.sample(view.joint, batch)
    torch.testing.assert_close(samples, view.nets(view.joint)["generator"](batch["noise"]))
    slope = torch.func.grad(lambda z: view.sample(view.joint, batch | {"noise": z}).sum())(batch["noise"])
    assert slope.shape == (5, 2)
    assert slope.abs().min() > 0


def test_in_double_precision_it_is_the_same_game(toys, blob):
    program = Program(variant(precision="float32", options={"toy-gan": {"norm": True}}), toys, blob)
    state = program.initial(0, {})
    single = PlayedGame(program, {}, blob, state.joint, state.buffers, seed=0, step=5)
    double = single.double()
    assert {x.dtype for x in single.joint.values()} == {x.dtype for x in single.batch().values()}
    assert {x.dtype for x in [*double.joint.values(), *double.batch().values()]} == {torch.float64}
    for name, tensor in double.batch().items():
        assert torch.equal(tensor.float(), single.batch()[name])
    fine, coarse = (v.gradients(v.joint, v.batch()) for v in (double, single))
    for player, gradient in fine.items():
        assert gradient.dtype == torch.float64
        torch.testing.assert_close(gradient.float(), coarse[player], rtol=1e-4, atol=1e-6)
    assert double.sample(double.joint, double.sample_batch(3)).dtype == torch.float64
