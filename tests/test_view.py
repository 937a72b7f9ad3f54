"""The game as metrics see it."""

from __future__ import annotations

import pytest
import torch
from toys import variant

from ganbench.assemble import Program
from ganbench.view import View


@pytest.fixture
def view(toys, blob):
    program = Program(variant(techniques=("toy-penalty",)), toys, blob)
    state = program.initial(0, {})
    return View(program, {}, blob, state.joint, state.buffers, seed=0, step=5)


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
