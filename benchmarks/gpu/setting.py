"""How large everything is: on a GPU, and where one is pretended."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.speed.cases import Case
from benchmarks.speed.throughput import Effort

HERE = "benchmarks.gpu"


@dataclass(frozen=True)
class Setting:
    """Sizes.

    Arguments:
        device: "cuda", or "cpu" where a GPU is pretended.
        counts: runs of the stacks of ring GANs.
        effort: how long rates are measured.
        images: the convolutional cases, `image_counts` their runs.
        image_ways: executors, and "loop" for one run after another.
        quickstart, map_: options of `ganbench run`, which is stopped after `suite_seconds`.
        memory_counts: runs of the stacks whose memory is measured.
    """

    device: str
    counts: tuple[int, ...]
    effort: Effort
    images: tuple[Case, ...]
    image_counts: tuple[int, ...]
    image_ways: tuple[str, ...]
    quickstart: tuple[str, ...]
    map_: tuple[str, ...]
    suite_seconds: float
    memory_counts: tuple[int, ...]


def image_case(name: str, model: str, options: dict[str, int], side: int, batch: int) -> Case:
    """A convolutional GAN on colour images."""
    described = {"name": model, "options": options}
    return Case(name, described, batch, 0.0, True, 1.0, 1, 0.05, (3, side, side))


SETTINGS = {
    "full": Setting(
        device="cuda",
        counts=(1, 16, 256, 1024, 4096),
        effort=Effort(rounds=5, seconds=0.5),
        images=(
            image_case("dcgan-32", "dcgan", {}, 32, 64),
            # one turn of the discriminator and no spectral norm: what the hand-written loop does, too
            image_case("sngan-32", "sngan", {"discriminator_turns": 1}, 32, 64),
        ),
        image_counts=(1, 2, 4, 8, 16),
        image_ways=("loop", "eager", "cuda-graph-uncompiled", "cuda-graph"),
        quickstart=("--seeds", "2", "--steps", "1000"),
        map_=("--steps", "2000"),
        suite_seconds=60,
        memory_counts=(1, 64, 1024),
    ),
    "pretended": Setting(
        device="cpu",
        counts=(1, 2),
        effort=Effort(rounds=1, seconds=0.0),
        images=(
            image_case("dcgan-32", "dcgan", {"width": 2, "latent": 4}, 16, 2),
            image_case(
                "sngan-32",
                "sngan",
                {"width": 2, "discriminator_width": 2, "latent": 4, "discriminator_turns": 1},
                16,
                2,
            ),
        ),
        image_counts=(1, 2),
        image_ways=("loop", "eager"),
        quickstart=(
            *("--seeds", "1", "--steps", "2", "--engine", "loop"),
            *("--set", "matrix.loss=['hinge']", "--set", "matrix.techniques=[['r1']]"),
        ),
        map_=(
            *("--seeds", "1", "--steps", "2", "--engine", "eager"),
            *("--set", "options.r1.gamma=0.1", "--set", "defaults.optimizer.lr=1e-3"),
        ),
        suite_seconds=3000,
        memory_counts=(1, 2),
    ),
}
