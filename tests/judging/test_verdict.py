from __future__ import annotations

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest

from ganbench.judging.outcomes import OUTCOMES, Verdict
from ganbench.judging.thresholds import Thresholds
from ganbench.judging.verdict import judge

STEPS = 5000
GAN = ("discriminator", "generator")


def healthy(seed: int, players: tuple[str, ...] = GAN, steps: int = STEPS) -> dict[str, pd.DataFrame]:
    """A noisy run with all that is ordinary: norms that drift over decades, spikes, a good discriminator."""
    generator = np.random.default_rng(seed)
    run = {}
    for player in players:
        drift = np.cumsum(generator.normal(size=steps)) * 0.02 - np.linspace(
            0, generator.uniform(-2, 5), steps
        )
        noise = generator.normal(size=steps) * generator.uniform(0.1, 0.8)
        norm = np.exp(generator.uniform(-4, 4) + drift + noise)
        norm *= np.where(generator.random(steps) < 0.002, 1000.0, 1.0)
        norm *= 1 + 100 * np.exp(-np.arange(steps) / generator.uniform(5, 100))
        run[player] = pd.DataFrame(
            {
                "step": np.arange(1, steps + 1),
                "player": player,
                "loss": generator.normal(size=steps),
                "grad_norm": norm,
                "update_norm": norm * 1e-3,
                "weight_norm": 10.0,
                **dict.fromkeys(("real_accuracy", "fake_accuracy", "logit_gap"), np.nan),
            }
        )
    if "discriminator" in run:
        level = generator.uniform(0.5, 0.985)
        for name in ("real_accuracy", "fake_accuracy"):
            run["discriminator"][name] = np.clip(level + generator.normal(size=steps) * 0.05, 0, 1)
        run["discriminator"]["logit_gap"] = generator.uniform(0.1, 5) + generator.normal(size=steps) * 0.3
    return run


def evaluations(**curves: list[float]) -> pd.DataFrame:
    """Each curve spread evenly over the budget."""
    rows = [
        {"step": (i + 1) * STEPS // len(values), "metric": metric.replace("_", "-"), "value": float(value)}
        for metric, values in curves.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["step", "metric", "value"])


def verdict(
    run: dict[str, pd.DataFrame] | None = None, evals: pd.DataFrame | None = None, **options
) -> Verdict:
    if run is None:
        run = healthy(0)
    trace = pd.concat(run.values()).sort_values("step", kind="stable") if run else pd.DataFrame()
    arguments = {
        "thresholds": Thresholds(),
        "budget": STEPS,
        "directions": {"fid": "lower", "coverage": "higher", "modes": "higher"},
        "critic": False,
        "judges": ("discriminator",),
        "modes": 8,
    }
    return judge(trace, evaluations() if evals is None else evals, **arguments | options)


def test_a_hundred_healthy_runs_raise_no_alarm():
    generator = np.random.default_rng(0)
    for seed in range(100):
        modes = np.minimum(8, np.arange(10) + generator.integers(0, 4)).tolist()
        fid = (100 * np.exp(-np.arange(10) / 2) * generator.lognormal(sigma=0.15, size=10) + 1).tolist()
        players = (GAN, ("vae",))[seed % 2]
        found = verdict(
            healthy(seed, players), evaluations(modes=modes, fid=fid, coverage=[0.1, 0.5] + [0.9] * 8)
        )
        assert found == Verdict("finished"), seed


@pytest.mark.parametrize("half_life", [150, 300, 1000, 3000])
def test_a_vae_whose_gradient_decays_smoothly_has_not_vanished(half_life):
    run = healthy(1, ("vae",))
    run["vae"]["grad_norm"] = 1e4 * 0.5 ** (np.arange(STEPS) / half_life)
    assert verdict(run).outcome == "finished"
    run["vae"]["grad_norm"] = 1e6 / np.arange(1, STEPS + 1) ** 2.0
    assert verdict(run).outcome == "finished"


@pytest.mark.parametrize("rate", [0.03, 0.3])
def test_a_game_that_converges_has_not_vanished_even_when_it_underflows(rate):
    run = healthy(1)
    fade = np.exp(-rate * np.arange(STEPS)).astype(np.float32).astype(float)
    run["generator"]["grad_norm"] = run["discriminator"]["grad_norm"] = fade
    run["discriminator"]["logit_gap"] = fade**2
    assert fade[-1] == 0
    assert verdict(run).outcome == "finished"


@pytest.mark.parametrize("probe", ["loss", "grad_norm", "update_norm", "weight_norm"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_diverged_at_the_first_non_finite_number(probe, value):
    run = healthy(2)
    run["generator"].loc[811:, probe] = value
    run["discriminator"].loc[811:, "weight_norm"] = np.nan
    run["generator"].loc[900:] = run["generator"].loc[900:].assign(grad_norm=1e30, loss=0.0)
    name = {"loss": "loss"}.get(probe, probe.replace("_", " ").replace("grad ", "gradient "))
    found = verdict(run)
    assert found[:2] == ("diverged", 812)
    assert found.evidence == (812, 812)
    assert found.reason == "discriminator weight norm became non-finite at step 812"
    run["discriminator"].loc[811, "weight_norm"] = 1.0
    assert verdict(run).reason == f"generator {name} became non-finite at step 812"


def test_nan_accuracies_of_a_player_that_has_none_are_no_divergence():
    assert verdict(healthy(3, ("vae",))).outcome == "finished"


@pytest.mark.parametrize("player", GAN)
def test_exploded_from_the_first_step_of_the_growth(player):
    run = healthy(4)
    run[player]["grad_norm"] = np.exp(np.random.default_rng(0).normal(size=STEPS) * 0.3)
    run[player].loc[2999:3049, "grad_norm"] = 5000.0
    found = verdict(run)
    assert found[:2] == ("exploded", 3000)
    assert found.evidence == (3000, 3050)
    assert f"{player} gradient norm rose from a median of 1" in found.reason
    assert "to 5e+03 from step 3000 on" in found.reason


@pytest.mark.parametrize(("length", "outcome"), [(9, "finished"), (10, "exploded")])
def test_a_spike_explodes_only_when_it_lasts(length, outcome):
    run = healthy(4)
    run["generator"]["grad_norm"] = 1.0
    run["generator"].loc[2000 : 2000 + length - 1, "grad_norm"] = 101.0
    assert verdict(run).outcome == outcome


def test_to_come_back_from_a_quiet_spell_is_no_explosion():
    run = healthy(5)
    run["discriminator"]["grad_norm"] = np.where((np.arange(STEPS) // 1500) == 1, 1e-4, 1.0)
    assert verdict(run).outcome == "finished"


@pytest.mark.parametrize("player", ["generator", "vae"])
@pytest.mark.parametrize(("length", "outcome"), [(499, "finished"), (500, "vanished")])
def test_vanished_for_500_consecutive_steps(player, length, outcome):
    run = healthy(6, ("discriminator", player))
    run["discriminator"]["logit_gap"] = 5.0
    run[player]["grad_norm"] = 1.0
    run[player].loc[1999 : 1999 + length - 1, "grad_norm"] = 5e-4
    found = verdict(run)
    assert found.outcome == outcome
    if outcome == "vanished":
        assert found.onset_step == 2000
        assert found.evidence == (2000, 2499)
        assert (
            found.reason
            == f"{player} gradient norm fell from a median of 1 to 0.0005 for 500 steps from step 2000 on"
        )


@pytest.mark.parametrize(("length", "outcome"), [(9, "vanished"), (10, "finished")])
def test_a_spike_does_not_bring_a_gradient_back(length, outcome):
    run = healthy(6)
    run["discriminator"]["logit_gap"] = 5.0
    run["generator"]["grad_norm"] = 1.0
    run["generator"].loc[1999:2498, "grad_norm"] = 5e-4
    run["generator"].loc[2200 : 2200 + length - 1, "grad_norm"] = 100.0
    assert verdict(run).outcome == outcome


@pytest.mark.parametrize(("mistakes", "outcome"), [(0.02, "finished"), (0.002, "saturated")])
def test_a_mistake_now_and_then_leaves_a_discriminator_saturated(mistakes, outcome):
    """In batches of 64, one mistake is an accuracy of .984."""
    for seed in range(5):
        run = healthy(seed)
        wrong = np.random.default_rng(seed).binomial(64, mistakes, size=(2, STEPS))
        run["discriminator"][["real_accuracy", "fake_accuracy"]] = 1 - wrong.T / 64
        found = verdict(run)
        assert found.outcome == outcome
        assert found.onset_step is None or found.onset_step < 50


def test_a_discriminator_does_not_vanish():
    run = healthy(6)
    run["discriminator"].loc[2000:, "grad_norm"] = 1e-9
    assert verdict(run).outcome == "finished"


def test_a_generator_that_never_had_a_gradient_vanished():
    run = healthy(7)
    run["generator"]["grad_norm"] = 0.0
    run["discriminator"]["logit_gap"] = 5.0
    found = verdict(run)
    assert found.outcome == "vanished"
    assert found.onset_step == 201


@pytest.mark.parametrize(("length", "outcome"), [(999, "finished"), (1000, "saturated")])
def test_saturated_for_1000_consecutive_steps_unless_a_critic(length, outcome):
    run = healthy(8)
    for name in ("real_accuracy", "fake_accuracy"):
        run["discriminator"][name] = 0.8
        run["discriminator"].loc[1999 : 1999 + length - 1, name] = 1.0
    found = verdict(run)
    assert found.outcome == outcome
    assert verdict(run, critic=True).outcome == "finished"
    if outcome == "saturated":
        assert found[1:4] == (
            2000,
            "discriminator accuracies on real and on fake stayed above 0.99 for 1000 steps from step 2000 on",
            (2000, 2999),
        )
    run["discriminator"]["fake_accuracy"] = 0.5
    assert verdict(run).outcome == "finished"


@pytest.mark.parametrize(
    ("modes", "onset", "reason"),
    [
        ([2, 5, 8, 8, 8, 8, 3, 3, 3, 3], 3500, "mode collapse: 3 of 8 modes from step 3500 on"),
        ([2, 5, 8, 8, 8, 8, 3, 1, 2, 3], 3500, "mode collapse: at most 3 of 8 modes from step 3500 on"),
        ([2, 5, 8, 8, 8, 8, 8, 8, 8, 0], 5000, "mode collapse: 0 of 8 modes from step 5000 on"),
        ([8] * 5 + [1, 8, 1, 1, 1], 4000, "mode collapse: 1 of 8 modes from step 4000 on"),
        (
            [1] * 20,
            500,
            "mode collapse: 1 of 8 modes from step 500 on",
        ),  # the evaluation at 250 is within the warm-up
    ],
)
def test_collapsed_where_modes_stay_few_to_the_end(modes, onset, reason):
    found = verdict(evals=evaluations(modes=modes))
    assert found[:4] == ("collapsed", onset, reason, (onset, STEPS))


@pytest.mark.parametrize("modes", [[1, 2, 3, 5], [8, 1, 1, 8], [8, 8, 1, 5], [5] * 8, [np.nan] * 3])
def test_modes_that_come_late_or_come_back_are_no_collapse(modes):
    assert verdict(evals=evaluations(modes=modes)).outcome == "finished"


def test_modes_mean_nothing_where_their_number_is_unknown():
    assert verdict(evals=evaluations(modes=[1] * 10), modes=None).outcome == "finished"


@pytest.mark.parametrize(
    ("modes", "n", "reason"),
    [
        ([480, 900, 990, 460], 26_000, "mode collapse: 460 of 1000 modes from step 5000 on"),
        ([480, 900, 990, 610], 26_000, ""),
        ([250, 300, 390, 390], 500, ""),  # as many as 500 real samples show
        (
            [250, 300, 390, 190],
            500,
            "mode collapse: 190 of 1000 modes (500 samples of the data show 394) from step 5000 on",
        ),
    ],
)
def test_stacked_modes_are_judged_against_what_as_many_real_samples_show(modes, n, reason):
    found = verdict(evals=evaluations(stacked_modes=modes).assign(n=n), modes=None)
    assert (found.outcome, found.reason) == ("collapsed" if reason else "finished", reason)
    seen = [np.unique(np.random.default_rng(s).integers(1000, size=500)).size for s in range(100)]
    assert np.mean(seen) == pytest.approx(394, abs=2)


def test_few_modes_early_in_a_run_that_then_diverges_are_no_collapse():
    run = healthy(9)
    run["generator"].loc[1999:, "loss"] = np.nan
    assert verdict(run, evaluations(modes=[1] * 10))[:2] == ("diverged", 2000)
    fallen = [1, 8, 2, 2, 1, 1, 1, 1, 1, 1]
    assert verdict(run, evaluations(modes=fallen))[:2] == ("diverged", 2000)  # only 1500 is before it
    run["generator"].loc[1999:2999, "loss"] = 0.0
    assert verdict(run, evaluations(modes=fallen))[:2] == ("collapsed", 1500)


def test_a_run_cut_short_is_judged_by_what_it_lost_only():
    short = {player: rows[:3000] for player, rows in healthy(9).items()}
    assert verdict(short, evaluations(modes=[1] * 10)[:6]).outcome == "finished"
    assert verdict(short, evaluations(modes=[8, 8, 8, 1, 1, 1])[:6])[:2] == ("collapsed", 3333)


@pytest.mark.parametrize(
    ("fid", "onset"),
    [
        ([100, 50, 10, 9, 8, 30, 40, 40, 30, 20], 3000),
        ([100, 50, 10, 9, 8, 8, 8, 8, 60, 70], 4500),
        ([100, 50, 10, 9, 8, 30, 40, 8, 8, 8], None),  # came back
        ([100, 50, 10, 9, 8, 8, 8, 8, 8, 60], None),  # one evaluation proves nothing
        ([100, 50, 10, 9, 8, 30, 8, 30, 8, 30], None),  # never twice in a row
        ([100, 50, 10, 9, 8, 15, 15, 15, 15, 15], None),  # less than twice
        ([100, 5, 0.01, 0.05, 0.06, 0.05, 0.04, 0.02, 0.02, 0.02], None),  # noise near zero
        ([1, 1, 3, 3, 3, 3, 3, 3, 3, 3], 1500),
        ([100, 50, 10, 9, 8, 30, np.nan, 40, np.nan, 60], 3000),  # a nan before the end is no evaluation
    ],
)
def test_unstable_where_fid_has_relapsed_at_the_end(fid, onset):
    found = verdict(evals=evaluations(fid=fid))
    assert found.onset_step == onset
    assert found.outcome == ("unstable" if onset else "finished")


def test_the_reason_of_a_relapse_has_both_figures():
    found = verdict(evals=evaluations(fid=[100, 8, 10, 30.25, 40]))
    assert found.reason == "fid was 30.25 at step 4000, 8 at its best before"
    assert found.evidence == (4000, 5000)


@pytest.mark.parametrize(
    ("curves", "remark"),
    [
        (
            {"fid": [100, 50, 10, 9, 8, 30, 40, 8, 8, 8]},
            "recovered: fid fell from step 3000 on and was back at step 4000",
        ),
        (
            {"modes": [8, 8, 8, 1, 8, 8, 2, 2, 8, 8]},
            "recovered: modes fell again and again from step 2000 on and was back at step 4500",
        ),
        (
            {"modes": [8, 8, 3, 8, 8, 3, 8, 8, 3, 8]},
            "oscillating: modes fell and came back 3 times from step 1500 to 5000",
        ),
        ({"modes": [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]}, ""),  # it never fell: it came late
        ({"modes": [8, 2, 8, 2, *[8] * 46]}, ""),  # within the warm-up
        ({"modes": [8] * 10}, ""),
    ],
)
def test_what_comes_back_is_remarked_and_no_failure(curves, remark):
    found = verdict(evals=evaluations(**curves))
    assert found == Verdict("finished", remark=remark, behaviour=remark.partition(":")[0])


def test_a_relapse_within_the_warm_up_does_not_count():
    assert verdict(evals=evaluations(fid=[1, 5, 5, 5] + [1] * 96)).outcome == "finished"


def test_coverage_relapses_downwards():
    found = verdict(evals=evaluations(coverage=[0.1, 0.9, 0.9, 0.4, 0.4]))
    assert found[:2] == ("collapsed", 4000)
    assert found.reason == "mode collapse: coverage was 0.4 at step 4000, 0.9 at its best before"
    assert verdict(evals=evaluations(coverage=[0.1, 0.9, 0.9, 0.5, 0.5])).outcome == "finished"


def test_a_vae_without_active_units_collapsed():
    found = verdict(healthy(0, ("vae",)), evaluations(active_units=[5, 3, 0, 0, 0]))
    reason = "posterior collapse: 0 active units from step 3000 on"
    assert found[:4] == ("collapsed", 3000, reason, (3000, 5000))


def test_the_averaged_weights_are_judged_where_there_are_some():
    raw, ema = (
        evaluations(modes=[8, 1, 1]).assign(weights="raw"),
        evaluations(modes=[8] * 3).assign(weights="ema"),
    )
    assert verdict(evals=raw).outcome == "collapsed"
    assert verdict(evals=pd.concat([raw, ema])).outcome == "finished"


@pytest.mark.parametrize(("modes", "kept"), [(8, 4), (25, 13), (25, 12), (10, 5)])
def test_half_of_the_modes_is_a_collapse(modes, kept):
    """Every other one lost: 4 of 8, 13 of 25."""
    found = verdict(evals=evaluations(modes=[modes] * 5 + [kept] * 5), modes=modes)
    assert found[:2] == ("collapsed", 3000)
    assert (
        verdict(evals=evaluations(modes=[modes] * 5 + [0.6 * modes] * 5), modes=modes).outcome == "finished"
    )


@pytest.mark.parametrize("metric", ["fid", "energy_distance", "coverage", "nll", "active_units"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("healthy_before", [0, 3, 9])
def test_diverged_where_a_measure_of_the_samples_is_not_finite_to_the_end(metric, value, healthy_before):
    curve = [8] * healthy_before + [value] * (10 - healthy_before)
    found = verdict(evals=evaluations(**{metric: curve}))
    onset, name = 500 * (healthy_before + 1), metric.replace("_", "-")
    assert found[:4] == ("diverged", onset, f"{name} was not finite from step {onset} on", (onset, STEPS))


def test_a_measure_that_is_a_number_again_at_the_end_has_recovered():
    found = verdict(evals=evaluations(fid=[8, 8, 8, np.nan, np.nan, 8, 8, 8, 8, 8]))
    remark = "recovered: fid fell from step 2000 on and was back at step 3000"
    assert found == Verdict("finished", remark=remark, behaviour=remark.partition(":")[0])


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("path_angle", [np.nan] * 10),  # where the field vanishes
        ("spread", [1, 1, *[np.nan] * 8]),  # where no mode has two samples
        ("reverse_kl", [1, 1, *[np.inf] * 8]),  # where no sample is of high quality
        ("discriminator_gap", [np.nan] * 10),
        ("jacobian_real", [0.5, *[np.nan] * 9]),
        ("diversity_ratio", [np.nan] * 10),  # where all real samples are alike
    ],
)
def test_nan_that_is_the_truth_fails_nobody(metric, values):
    assert verdict(evals=evaluations(**{metric: values})) == Verdict("finished")


def test_what_must_be_finite_is_a_threshold():
    own = evaluations(own_metric=[1, np.nan, np.nan])
    assert verdict(evals=own).outcome == "finished"
    assert verdict(evals=own, thresholds=Thresholds(finite_metrics=("own-metric",))).outcome == "diverged"
    fid = evaluations(fid=[1, np.nan, np.nan])
    assert verdict(evals=fid, thresholds=Thresholds(finite_metrics=())).outcome == "finished"


@pytest.mark.parametrize(
    ("curves", "outcome"),
    [
        ({"fid": [8, 8, 8, 40, 40], "modes": [8, 8, 8, 1, 1]}, "collapsed"),
        ({"modes": [8, 8, 8, 1, 1], "fid": [8, 8, 8, 40, 40]}, "collapsed"),
        ({"fid": [8, 8, 8, 40, 40], "modes": [8, 8, 8, 8, 1]}, "unstable"),
        ({"modes": [8, 8, 8, 0, 0], "fid": [8, 8, 8, np.nan, np.nan]}, "diverged"),
    ],
)
def test_of_failures_with_one_onset_the_more_telling_is_named(curves, outcome):
    assert verdict(evals=evaluations(**curves))[:2] == (outcome, 4000)


def test_what_began_first_wins():
    run = healthy(10)
    run["generator"]["grad_norm"] = 1.0
    run["generator"].loc[3000:3100, "grad_norm"] = 1e5
    evals = evaluations(modes=[8, 8, 1, 1, 1])
    assert verdict(run, evals)[:2] == ("collapsed", 3000)
    assert verdict(run, evaluations(modes=[8, 8, 8, 1, 1]))[:2] == ("exploded", 3001)
    run["discriminator"].loc[2000, "loss"] = np.nan
    assert verdict(run, evals)[:2] == ("diverged", 2001)


def test_thresholds_can_be_taken_again():
    run = healthy(11)
    run["generator"]["grad_norm"] = np.where(np.arange(STEPS) < 3000, 1.0, 20.0)
    assert verdict(run).outcome == "finished"
    assert verdict(run, thresholds=Thresholds(explode_ratio=10))[:2] == ("exploded", 3001)


@pytest.mark.parametrize("options", [{"warmup": -0.1}, {"vanish_steps": 0}, {"explode_ratio": float("nan")}])
def test_thresholds_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Thresholds(**options)


def test_thresholds_survive_json():
    import json

    stored = json.loads(json.dumps(dataclasses.asdict(Thresholds(relapse_metrics=("fid",)))))
    assert Thresholds(**stored) == Thresholds(relapse_metrics=("fid",))


@pytest.mark.parametrize("steps", [0, 1, 49, 150])
def test_short_and_empty_runs_finish(steps):
    run = {player: rows[:steps] for player, rows in healthy(12).items()}
    assert verdict(run, budget=steps) == Verdict("finished")
    assert verdict({}, pd.DataFrame(), budget=steps) == Verdict("finished")


def test_every_verdict_is_a_known_outcome():
    known = {"finished", "diverged", "exploded", "stagnant", "vanished", "saturated", "collapsed", "unstable"}
    assert known < set(OUTCOMES)
    assert len(set(OUTCOMES)) == 11


def test_judging_5000_steps_takes_milliseconds():
    run, evals = healthy(13), evaluations(modes=[8] * 10, fid=[1] * 10)
    trace = pd.concat(run.values()).sort_values("step", kind="stable")
    options = {"thresholds": Thresholds(), "budget": STEPS, "directions": {}, "critic": False, "modes": 8}
    options["judges"] = ["discriminator"]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        judge(trace, evals, **options)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1
