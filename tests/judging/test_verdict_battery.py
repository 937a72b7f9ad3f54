"""Traces made to fail in known ways at known steps, and healthy ones with the noise of real training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from ganbench.judging import learning
from ganbench.judging.collapse import curves_of
from ganbench.judging.outcomes import Verdict
from ganbench.judging.thresholds import Thresholds
from ganbench.judging.verdict import judge

STEPS, EVERY, MODES = 5000, 250, 8
GAN, VAE = ("discriminator", "generator"), ("vae",)
DIRECTIONS = {
    "fid": "lower",
    "coverage": "higher",
    "modes": "higher",
    "active-units": "higher",
    "energy-distance": "lower",
}
TIME = np.arange(1, STEPS + 1)
EVALUATED = np.arange(0, STEPS + 1, EVERY)
SEEDS = range(10)

Curves = dict[str, np.ndarray]


class Run:
    """A healthy run of one kind, to be spoilt: columns by player, and curves by metric."""

    def __init__(self, seed: int, kind: str = "plain", players: tuple[str, ...] = GAN) -> None:
        self.rng = np.random.default_rng([seed, len(kind)])
        self.players: dict[str, Curves] = {player: self._player(kind) for player in players}
        if "discriminator" in self.players:
            self.players["discriminator"] |= self._logits()
        self.curves = self._curves(players)

    def _player(self, kind: str) -> Curves:
        rng = self.rng
        drift = np.cumsum(rng.normal(size=STEPS)) * 0.015
        norm = np.exp(rng.uniform(-4, 4) + drift + rng.uniform(0.1, 0.6) * rng.normal(size=STEPS))
        rate = np.ones(STEPS)
        if kind == "heavy tails":  # gradient noise of infinite variance (Simsekli et al. 2019)
            norm *= np.exp(0.4 * np.clip(rng.standard_t(2, size=STEPS), -12, 12))
        elif kind == "warm-up":
            rate = np.minimum(1, TIME / 500)
            norm *= 1 + 300 * np.exp(-TIME / rng.uniform(20, 150))
        elif kind == "decreasing rate":
            rate = np.cos(np.pi / 2 * TIME / STEPS) ** 2 + 1e-3
            norm *= 10 ** (-2 * TIME / STEPS)
        elif kind == "alternating":  # turns, cyclical schedules
            norm *= np.where(TIME % 2, rng.uniform(2, 10), 1) * np.where(TIME // 500 % 2, 4, 1)
        elif kind == "spikes":  # alone and in bursts
            centres = rng.integers(0, 140, STEPS // 150 + 1)[TIME // 150] == TIME % 150
            norm *= 1 + 2000 * np.convolve(centres, np.ones(rng.integers(1, 8)))[:STEPS]
        return {"loss": rng.normal(size=STEPS), "grad_norm": norm, "update_norm": norm * rate * 1e-3}

    def _logits(self) -> Curves:
        rng = self.rng
        level = rng.uniform(0.5, 0.98)
        accuracies = np.clip(level + 0.04 * rng.normal(size=(2, STEPS)), 0, 1)
        slow = lfilter([1], [1, -rng.uniform(0.5, 0.999)], rng.normal(size=STEPS))
        gap = rng.uniform(0.5, 5) + 0.5 * slow / slow.std() + 0.3 * rng.standard_t(3, size=STEPS)
        return {"real_accuracy": accuracies[0], "fake_accuracy": accuracies[1], "logit_gap": gap}

    def _curves(self, players: tuple[str, ...]) -> Curves:
        rng, count = self.rng, len(EVALUATED)
        rise = 1 - np.exp(-EVALUATED / rng.uniform(200, 600))
        fid = (200 * (1 - rise) + 5) * rng.lognormal(sigma=0.12, size=count)
        curves = {"fid": fid, "coverage": np.clip(0.9 * rise + 0.03 * rng.normal(size=count), 0.01, 1)}
        if players == VAE:
            return curves | {"active-units": np.minimum(10, 2 + rng.integers(0, 2, count) + 10 * rise // 1)}
        return curves | {"modes": np.round(MODES * rise) - (rng.random(count) < 0.2)}

    def verdict(self, **options: Any) -> Verdict:
        players = [
            pd.DataFrame({"step": TIME, "player": player, "weight_norm": 10.0, **columns})
            for player, columns in self.players.items()
        ]
        evals = pd.concat(
            pd.DataFrame({"step": EVALUATED, "metric": metric, "value": values, "n": 2500})
            for metric, values in self.curves.items()
        )
        arguments = {
            "thresholds": Thresholds(),
            "budget": STEPS,
            "directions": DIRECTIONS,
            "critic": False,
            "judges": ("discriminator",),
            "modes": MODES,
        }
        return judge(pd.concat(players), evals, **arguments | options)


KINDS = ("plain", "heavy tails", "warm-up", "decreasing rate", "alternating", "spikes")


def healthy_verdicts(seeds):
    for seed in seeds:
        kind, players = KINDS[seed % len(KINDS)], (GAN, GAN, VAE)[seed // len(KINDS) % 3]
        run = Run(seed, kind, players)
        for thresholds in (Thresholds(), Thresholds(stop=True)):
            yield f"seed {seed}, {kind}", run.verdict(thresholds=thresholds)


def test_a_hundred_healthy_runs_raise_no_alarm():
    for what, found in healthy_verdicts(range(100)):
        assert found == Verdict("finished"), f"{what}: {found}"


@pytest.mark.slow
def test_a_thousand_healthy_runs_have_finished():
    remarks = 0
    for what, found in healthy_verdicts(range(100, 1000)):
        assert found.outcome == "finished", f"{what}: {found}"
        remarks += bool(found.remark)
    assert remarks <= 2, "a dip of a noisy FID, at one seed, may be called one"


# ---- what goes wrong. Each spoils a run at a step and returns the step from which it should be seen.

Spoil = Callable[[Run, int], int]


def diverge(run: Run, step: int) -> int:
    """A loss that overflows within a few steps."""
    player = list(run.players)[-1]
    run.players[player]["loss"][step - 4 :] = 10.0 ** (10 * np.arange(STEPS - step + 4.0).clip(max=30))
    run.players[player]["loss"][step - 1 :] = np.nan
    return step


def explode(run: Run, step: int) -> int:
    """Exponential growth that levels off: seen when it passes a hundred times its median."""
    player = run.rng.choice(list(run.players))
    run.players[player]["grad_norm"] *= np.exp(np.clip((TIME - step) / 20, 0, np.log(1e5)))
    return step + int(20 * np.log(100))


def vanish(run: Run, step: int) -> int:
    """Exponential decay, while the discriminator wins: seen when it passes a thousandth of its median."""
    player = list(run.players)[-1]
    run.players[player]["grad_norm"] *= np.exp(-np.clip((TIME - step) / 20, 0, np.log(1e6)))
    if "discriminator" in run.players:
        run.players["discriminator"]["logit_gap"] += np.clip((TIME - step) / 50, 0, 20)
    return step + int(20 * np.log(1000))


def saturate(run: Run, step: int) -> int:
    """Accuracies of batches of 64 in which, after 100 steps, hardly a sample is judged wrong."""
    for name in ("real_accuracy", "fake_accuracy"):
        accuracy, wrong = run.players["discriminator"][name], run.rng.binomial(64, 0.001, STEPS)
        run.players["discriminator"][name] = np.where(step + 100 > TIME, accuracy, 1 - wrong / 64)
    return step + 100


def collapse(run: Run, step: int) -> int:
    """Modes go one by one within 200 steps, down to one or two."""
    left = MODES - np.clip((EVALUATED - step) / 200, 0, 1) * run.rng.integers(MODES - 2, MODES)
    run.curves["modes"] = np.minimum(run.curves["modes"], np.round(left))
    return step + 150


def lose_coverage(run: Run, step: int) -> int:
    """Where the number of modes is not known."""
    del run.curves["modes"]
    run.curves["coverage"][step < EVALUATED] *= 0.3
    return step


def never_learn(run: Run, step: int) -> int:
    """No mode from the beginning: seen from the end of the warm-up."""
    run.curves["modes"][:] = 0
    return int(Thresholds().warmup * STEPS)


def collapse_posterior(run: Run, step: int) -> int:
    run.curves["active-units"][step < EVALUATED] = 0
    return step


def stand_still(run: Run, step: int) -> int:
    """A learning rate of 1e-12: curves are the noise of untrained samples."""
    for player in run.players.values():
        player["update_norm"] = np.full(STEPS, 1e-11)
    untrained(run)
    return 1


def say_nothing(run: Run, step: int) -> int:
    """A discriminator whose logits are constant."""
    run.players["discriminator"]["loss"] = np.full(STEPS, np.log(4)) + 1e-8 * run.rng.normal(size=STEPS)
    return 1


def learn_nothing(run: Run, step: int) -> int:
    """Parameters move, and samples stay as they were."""
    untrained(run)
    del run.curves["modes"], run.curves["coverage"]
    return EVERY


def make_noise(run: Run, step: int) -> int:
    """No sample is ever near a real one."""
    del run.curves["modes"]
    run.curves["coverage"][:] = 0
    return int(Thresholds().warmup * STEPS)


def untrained(run: Run) -> None:
    noise = run.rng.lognormal(sigma=0.01, size=(2, len(EVALUATED)))
    run.curves |= {"fid": 200 * noise[0], "energy-distance": 0.66 * noise[1]}


def run_away(run: Run, step: int) -> int:
    """A metric beside FID, at its best near the start, that ends far off."""
    share = np.clip((EVALUATED - step) / 100, 0, 1)
    run.curves["energy-distance"] = 0.66 * (1 - share) + 238 * share
    return step + 50


def blow_up(run: Run, step: int) -> int:
    """FID grows within 100 steps to four times its best, and stays there."""
    fid, share = run.curves["fid"], np.clip((EVALUATED - step) / 100, 0, 1)
    worst = 4 * fid[step >= EVALUATED].min() * run.rng.lognormal(sigma=0.12, size=len(fid))
    run.curves["fid"] = fid * (1 - share) + worst * share
    return step + 50


def lose_half(run: Run, step: int) -> int:
    """Every other mode."""
    run.curves["modes"][step < EVALUATED] = MODES / 2
    return step


def draw_no_numbers(run: Run, step: int) -> int:
    """Samples that are not finite, of weights that are: no gradient tells."""
    for name in ("fid", "coverage"):
        run.curves[name][step < EVALUATED] = np.nan
    run.curves["modes"][step < EVALUATED] = 0
    return step


def draw_no_number_ever(run: Run, step: int) -> int:
    """Where FID alone is taken, and never was one."""
    run.curves = {"fid": np.full(len(EVALUATED), np.nan)}
    return int(Thresholds().warmup * STEPS)


FAILURES = [
    *[(diverge, "diverged", players, "became non-finite") for players in (GAN, VAE)],
    *[(explode, "exploded", players, "gradient norm rose") for players in (GAN, VAE)],
    *[(vanish, "vanished", players, "gradient norm fell") for players in (GAN, VAE)],
    (saturate, "saturated", GAN, "accuracies on real and on fake"),
    (collapse, "collapsed", GAN, "mode collapse: "),
    (lose_half, "collapsed", GAN, "mode collapse: 4 of 8 modes"),
    (draw_no_numbers, "diverged", GAN, "was not finite"),
    *[(draw_no_number_ever, "diverged", players, "fid was not finite") for players in (GAN, VAE)],
    (lose_coverage, "collapsed", GAN, "mode collapse: coverage was"),
    (never_learn, "collapsed", GAN, "mode collapse: 0 of 8 modes"),
    (collapse_posterior, "collapsed", VAE, "posterior collapse: 0 active units"),
    *[(blow_up, "unstable", players, "fid was") for players in (GAN, VAE)],
    (run_away, "unstable", GAN, "energy-distance was"),
    (stand_still, "stagnant", GAN, "discriminator never learnt: its parameters moved by"),
    (stand_still, "stagnant", VAE, "vae never learnt: its parameters moved by"),
    (say_nothing, "stagnant", GAN, "discriminator never learnt: its loss stayed at"),
    (learn_nothing, "stagnant", GAN, "never learnt: fid was "),
    (make_noise, "collapsed", GAN, "mode collapse: coverage of 0"),
]


@pytest.mark.parametrize(("spoil", "outcome", "players", "reason"), FAILURES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_failure_is_named_with_its_onset_within_one_evaluation(kind, spoil, outcome, players, reason):
    for seed in SEEDS:
        run = Run(seed, kind, players)
        latest = {vanish: 4100, saturate: 3800, blow_up: 4300}.get(spoil, 4600)
        seen = spoil(run, int(run.rng.integers(1500, latest)))
        found = run.verdict()
        assert found.outcome == outcome, f"seed {seed}: {found}"
        assert abs(found.onset_step - seen) <= EVERY, f"seed {seed}: {found}, spoilt at {seen}"
        assert reason in found.reason
        first, last = found.evidence
        assert first == found.onset_step <= last <= STEPS


def test_what_begins_at_its_best_is_not_called_stagnant():
    run = Run(0)
    run.curves = {"modes": np.full(len(EVALUATED), float(MODES))}
    assert run.verdict().outcome == "finished"


@pytest.mark.parametrize("evaluated", [[0], [STEPS], [0, 1, 2, 3], [1, 2, 3, 4, 5, 6]])
def test_without_a_first_and_some_later_values_nothing_is_said_of_learning(evaluated):
    evals = pd.DataFrame({"step": evaluated, "metric": "fid", "value": 200.0})
    assert learning.no_gain([*curves_of(evals)], Thresholds(), DIRECTIONS, MODES) is None


def test_one_gain_by_chance_is_no_learning():
    run = Run(0)
    untrained(run)
    run.curves = {"fid": run.curves["fid"]}
    run.curves["fid"][7] *= 0.8
    assert run.verdict().outcome == "stagnant"
    run.curves["fid"][8] *= 0.8
    assert run.verdict().outcome == "finished"


def test_a_collapse_at_the_very_end_is_seen():
    for seed in SEEDS:
        run = Run(seed)
        collapse(run, STEPS - EVERY)
        assert run.verdict()[:2] == ("collapsed", STEPS)


def test_lost_modes_of_stacked_digits_are_seen():
    for seed in SEEDS:
        run = Run(seed)
        modes = run.curves.pop("modes")
        run.curves["stacked-modes"] = np.where(EVALUATED < 4000, 850 * modes / MODES, 78.0)
        found = run.verdict(modes=None)
        assert found[:2] == ("collapsed", 4000)
        assert found.reason.startswith("mode collapse: 78 of 1000 modes")


def test_of_several_failures_the_first_is_named():
    for seed in SEEDS:
        run = Run(seed)
        seen = vanish(run, 2000)
        collapse(run, 3000)
        blow_up(run, 3500)
        diverge(run, 4500)
        found = run.verdict()
        assert found.outcome == "vanished"
        assert abs(found.onset_step - seen) <= EVERY


# ---- what comes right again, and what goes round and round


def dip(name: str, low: float, first: int, last: int) -> Callable[[Run], None]:
    def spoil(run: Run) -> None:
        run.curves[name][(first <= EVALUATED) & (last >= EVALUATED)] = low

    return spoil


def faint(run: Run) -> None:
    """A gradient that is gone for 450 steps."""
    run.players["generator"]["grad_norm"][2000:2450] *= 1e-6


def burst(run: Run) -> None:
    """A gradient a thousand times its size for 8 steps."""
    for player in run.players.values():
        player["grad_norm"][3000:3008] *= 1e3


def win_for_a_while(run: Run) -> None:
    """A discriminator that is always right for 900 steps."""
    for name in ("real_accuracy", "fake_accuracy"):
        run.players["discriminator"][name][2000:2900] = 1.0
        run.players["discriminator"][name][2900] = 0.9


RECOVERIES = [
    (dip("modes", 1, 2000, 3500), "recovered: modes fell from step 2000 on and was back at step 3750"),
    (dip("fid", 90, 2500, 3000), "recovered: fid fell from step 2500 on and was back at step 3250"),
    (
        dip("coverage", 0.1, 2500, 4750),
        "recovered: coverage fell from step 2500 on and was back at step 5000",
    ),
    (faint, ""),
    (burst, ""),
    (win_for_a_while, ""),
]


@pytest.mark.parametrize(("spoil", "remark"), RECOVERIES)
def test_a_run_that_recovers_has_finished(spoil, remark):
    for seed in SEEDS:
        run = Run(seed)
        spoil(run)
        assert run.verdict() == Verdict("finished", remark=remark, behaviour=remark.partition(":")[0])


@pytest.mark.parametrize("period", [2, 7, 30, 120, 400])
@pytest.mark.parametrize("critic", [False, True])
def test_a_game_that_circles_is_reported_and_has_not_failed(period, critic):
    for seed in SEEDS:
        run = Run(seed)
        phase = np.pi / 4 if period == 2 else run.rng.uniform(0, 2 * np.pi)
        run.players["discriminator"]["logit_gap"] += 3 * np.sin(2 * np.pi * TIME / period + phase)
        if critic:
            run.players["discriminator"] |= dict.fromkeys(("real_accuracy", "fake_accuracy"), np.nan)
        found = run.verdict(critic=critic)
        assert found.outcome == "finished"
        assert found.remark.startswith("oscillating: discriminator logit gap with a period of about ")
        told = int(found.remark.split("about ")[1].split()[0])
        assert told == pytest.approx(period, rel=0.1, abs=1)
        assert found.remark.endswith("over the last 2500 steps")


def test_a_swing_that_dies_away_is_no_oscillation():
    for seed in SEEDS:
        run = Run(seed)
        fading = np.exp(-TIME / 600)
        run.players["discriminator"]["logit_gap"] = fading * np.sin(TIME / 10 + seed)
        assert run.verdict().remark == ""


def test_a_generator_that_hops_between_modes_oscillates():
    for seed in SEEDS:
        run = Run(seed)
        run.curves["modes"] = np.where(EVALUATED // 500 % 2, 2, 8)
        run.curves["modes"][-1] = 8
        found = run.verdict()
        assert found.outcome == "finished"
        assert found.remark.startswith("oscillating: modes fell and came back 5 times from step 500 to 5000")
