"""What a verdict is, and the thresholds that it depends on."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Thresholds:
    """When a run counts as failed. Steps are counted in training steps; ratios have no unit."""

    median_window: int = 2000
    """Steps before a step whose median gradient norm is called usual (see `stats.running_median`)."""
    history: int = 200
    """Steps that must have passed before a gradient norm is compared with the usual one."""
    explode_ratio: float = 100.0
    """Exploded: a player's gradient norm is above this multiple of the largest running median so far."""
    explode_steps: int = 10
    """Exploded: for this many consecutive steps. Lone spikes are ordinary in adversarial training."""
    vanish_ratio: float = 1e-3
    """Vanished: the gradient norm of a player, not a discriminator, is below this share of its median."""
    vanish_steps: int = 500
    """Vanished: for this many consecutive steps, lone spikes (shorter than explode_steps) aside."""
    rest_ratio: float = 0.1
    """Not vanished but at rest: the discriminator's logit gap is at most this share of its median.
    Both players' gradients then fade because the game converges, as a Dirac-GAN's does under R1."""
    saturate_accuracy: float = 0.99
    """Saturated: the discriminator's accuracies on real and on fake are both above this."""
    saturate_steps: int = 1000
    """Saturated: for this many consecutive steps, lone dips (shorter than explode_steps) aside: one mistake
    in a batch of 64 is one. Critics have no decision boundary and are not judged."""
    stagnant_movement: float = 1e-6
    """Stagnant: all updates of a player together are at most this share of its weight norm, about what
    float32 resolves."""
    stagnant_loss: float = 1e-6
    """Stagnant: a player's loss varied by at most this share of its size, in more than `history` steps."""
    stagnant_gain: float = 0.05
    """Stagnant: in a run in which nothing else failed, no metric with a direction became better than at step
    0 by more than this share of its value there, at two evaluations in turn. Another draw of samples moves
    metrics by less."""
    stagnant_evaluations: int = 4
    """Stagnant: of fewer evaluations after step 0 nothing is concluded."""
    warmup: float = 0.1
    """Collapsed, unstable: share of the budget before which no evaluation counts; training begins badly."""
    modes_ratio: float = 0.6
    """Collapsed: from some evaluation to the last, the samples cover less than this share of the modes that
    as many samples of the data would cover. Above a half, so that a run that loses every other mode has
    collapsed: 4 of 8, 13 of 25."""
    units_floor: float = 1.0
    """Collapsed: from some evaluation to the last, a VAE has fewer active units than this."""
    finite_metrics: tuple[str, ...] = (
        *("fid", "kid", "energy-distance", "sliced-wasserstein", "ndb", "inception-score", "vendi"),
        *("precision", "recall", "density", "coverage", "birthday", "diversity"),
        *("cycle-error", "translation-agreement", "map-iou"),
        *("rate", "distortion", "nll", "active-units", "mutual-information"),
    )
    """Diverged, too: from some evaluation to the last, one of these measures is not finite. They are finite
    if samples, codes and likelihoods are; other measures may be NaN for good reason and do not count."""
    coverage_metrics: tuple[str, ...] = ("coverage",)
    """Collapsed: one of these measures of diversity relapses, that is: its last values are far worse than the
    run's best before."""
    coverage_floor: float = 0.01
    """Collapsed: from some evaluation to the last, one of these measures is below this."""
    relapse_metrics: tuple[str, ...] = ("fid",)
    """Unstable: one of these measures of quality relapses (they must be positive)."""
    relapse_gain: float = 0.5
    """Unstable: any other metric with a direction relapses after step 0, and has lost more than this share of
    its gain since then, in place of `relapse_share`."""
    descriptive_metrics: tuple[str, ...] = (
        *("rate", "mutual-information", "aggregate-gap", "silent-units", "narrowest", "widest"),
        *("spread", "density", "diversity", "diversity-ratio", "vendi", "vendi-ratio", "birthday"),
        *("birthday-ratio", "variance-ratio", "decoder-variance", "eigen-real", "eigen-imaginary"),
        *("path-switch", "path-bump", "singular-max", "singular-log-product", "duality-gap"),
        *("discriminator-gap", "generator-conditioning"),
    )
    """These describe a model, and learning may move them either way: they show neither a relapse nor that a
    run is stagnant. The rate of a VAE, for one, rises as it learns."""
    relapse_ratio: float = 2.0
    """Relapsed: by more than this factor."""
    relapse_share: float = 0.02
    """Relapsed: by more than this share of the gain since the first evaluation, too. Near zero, a
    factor of two is noise."""
    relapse_evaluations: int = 2
    """Relapsed: at the last evaluations, at least this many."""
    oscillate_correlation: float = 0.5
    """Oscillating: the discriminator's logit gap, over the last half of its steps, has at least this
    autocorrelation at some period, after it was below zero."""
    oscillate_periods: int = 4
    """Oscillating: that half holds at least this many periods. Fewer look periodic in any slow drift."""
    oscillate_amplitude: float = 0.25
    """Oscillating: the gap's standard deviation over the last quarter is at least this share of that of
    any quarter but the first; a swing that dies away is a game that converges."""
    oscillate_returns: int = 3
    """Oscillating, too: a metric falls as far as a collapse or a relapse and comes back this many times."""
    stop: bool = False
    """Whether a run that has failed for good is stopped at the next evaluation: exploded, vanished or
    saturated, which nothing later undoes, or collapsed or unstable for long."""
    stop_share: float = 0.5
    """Stopped: collapsed or unstable at every evaluation for this share of the budget."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(item.default, tuple):
                # JSON has lists, and a frozen dataclass has no other way to set a field.
                object.__setattr__(self, item.name, tuple(value))
            elif not isinstance(item.default, bool):
                _check(item.name, value, 1 if isinstance(item.default, int) else 0)


def _check(name: str, value: float, least: int) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a finite number, 0 or more (got {value!r})")
    if value < least:
        raise ValueError(f"{name} must be {least} or more (got {value!r})")
