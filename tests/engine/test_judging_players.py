"""Players that judge, whatever their names: probes and objectives."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import TOYS
from judged_toys import ToyJudged
from toys import ToyDuel, ToyLoss, variant

from ganbench.components.kinds import objective_of, players_without_objective, readable
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.errors import Broken
from ganbench.executors import Eager
from ganbench.game.probes import LOGIT_PROBES, PLAYER_PROBES
from ganbench.plugins import discovery

CPU = torch.device("cpu")
NAMES = [("critic",), ("local", "global_")]


@pytest.fixture(scope="module")
def judged():
    """The toys, and the game with judges of any name."""
    files = [TOYS, Path(__file__).parents[1] / "judged_toys.py"]
    with mock.patch.object(discovery, "_entry_points", return_value=[]):
        return discovery.discover(files)


def program(catalogue, data, called, maker="generator"):
    players = (maker, *called)
    options = {"toy-judged": {"called": list(called), "maker": maker}}
    return Program(variant("toy-judged", players=players, options=options), catalogue, data)


def trained(trainer, made, data, steps=3):
    runs = Runs((0, 1), ({}, {}))
    training = trainer(made, runs, data, CPU, *([Eager()] if trainer is Mapped else []))
    return torch.as_tensor(training.advance(steps)), training.state()


@pytest.mark.parametrize("called", NAMES, ids="+".join)
def test_every_judge_has_its_own_logit_probes(judged, blob, called):
    made = program(judged, blob, called)
    assert made.columns == [
        *(("generator", probe) for probe in PLAYER_PROBES),
        *((judge, probe) for judge in called for probe in (*PLAYER_PROBES, *LOGIT_PROBES)),
    ]


@pytest.mark.parametrize("called", NAMES, ids="+".join)
def test_their_values_are_those_of_their_own_turns(judged, blob, called, monkeypatch):
    seen, play = {}, ToyJudged.play

    def remember(self, player, nets, batch):
        out = play(self, player, nets, batch)
        seen[player] = {name: logits.detach().numpy().copy() for name, logits in out.items()}
        return out

    made = program(judged, blob, called)
    monkeypatch.setattr(type(made.model), "play", remember)
    rows = Looped(made, Runs((0,), ({},)), blob, CPU).advance(1)
    row = dict(zip(made.columns, rows[0, 0].tolist(), strict=True))
    for judge in called:
        real, fake = seen[judge]["real_logits"], seen[judge]["fake_logits"]
        means = [real.mean(), fake.mean()]
        expected = [*means, (real > 0).mean(), (fake < 0).mean(), means[0] - means[1]]
        np.testing.assert_allclose([row[judge, probe] for probe in LOGIT_PROBES], expected, rtol=1e-12)
    assert len({row[judge, "real_mean"] for judge in called}) == len(called)


@pytest.mark.parametrize("called", NAMES, ids="+".join)
def test_they_are_the_same_looped_and_mapped(judged, blob, called):
    made = program(judged, blob, called)
    (rows, state), (mapped_rows, mapped_state) = (trained(how, made, blob) for how in (Looped, Mapped))
    torch.testing.assert_close(rows, mapped_rows, rtol=1e-10, atol=1e-10, equal_nan=True)
    torch.testing.assert_close(state, mapped_state, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("how", [Looped, Mapped])
def test_what_players_are_called_changes_no_number(judged, blob, how):
    usual = trained(how, program(judged, blob, ("discriminator",)), blob)
    other = trained(how, program(judged, blob, ("critic",), "painter"), blob)
    assert torch.equal(usual[0].nan_to_num(), other[0].nan_to_num())
    for player, same in (("generator", "painter"), ("discriminator", "critic")):
        assert torch.equal(usual[1].joint[player], other[1].joint[same])


def test_a_judge_that_does_not_play_is_refused(judged, blob, monkeypatch):
    made = program(judged, blob, ("critic",))
    monkeypatch.setattr(type(made.model), "judges", lambda self: ("nobody",))
    with pytest.raises(Broken, match="judge that is none of its players: 'nobody'"):
        program(judged, blob, ("critic",))


# -- which method of a loss is whose


def game(*players, judges=()):
    return SimpleNamespace(
        players=lambda: dict.fromkeys(players, ()), judges=lambda: judges, shows=("codes",)
    )


class Named(ToyLoss):
    """A loss with a method for a player called critic."""

    def critic(self, out):
        return out


def test_judges_and_the_only_other_player_have_the_two_sides_of_a_loss():
    loss, duel = ToyLoss(), game("painter", "critic", judges=("critic",))
    assert objective_of(loss, duel, "critic") == loss.discriminator
    assert objective_of(loss, duel, "painter") == loss.generator
    two = game("painter", "local", "global_", judges=("local", "global_"))
    assert [objective_of(loss, two, who) for who in ("local", "global_")] == [loss.discriminator] * 2


def test_a_method_of_the_players_own_name_comes_first():
    loss = Named()
    assert objective_of(loss, game("generator", "critic", judges=("critic",)), "critic") == loss.critic


def test_other_players_have_no_objective():
    loss = ToyLoss()
    three = game("encoder", "painter", "critic", judges=("critic",))
    assert players_without_objective(loss, three) == ["encoder", "painter"]
    assert players_without_objective(loss, game("vae")) == ["vae"]  # without judges nobody is the other side
    assert players_without_objective(loss, ToyDuel()) == ["low", "high"]
    named = game("name", "critic", judges=("critic",))  # what is no method is no objective
    assert objective_of(loss, named, "name") == loss.generator


def test_what_metrics_may_read_of_a_game():
    assert readable(game("vae")) == {"vae", "codes"}
    assert readable(game("painter", "critic", judges=("critic",))) == {"painter", "critic", "judges", "codes"}
