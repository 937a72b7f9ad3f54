"""How normal a thousand million draws are: `python -m benchmarks.draws.quality`, from the checkout.

It takes some minutes and writes results/draws/normals.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy.special import ndtr
from scipy.stats import binom, chi2

from ganbench.game.draws import Draw, draw_steps

ROOT = Path(__file__).parents[2]
SEEDS, STEPS, COUNT = 64, 16, 4096
"""Of one round. Its draws are a matrix of seeds, steps and elements."""
BINS = 4096
"""Equally probable ones, for the fit."""
TAILS = (1, 2, 3, 4, 5, 6)
MOMENTS = {1: 0.0, 2: 1.0, 3: 0.0, 4: 3.0}
_VARIANCE = {1: 1.0, 2: 2.0, 3: 15.0, 4: 96.0}
"""Of a power of a normal variate."""


@dataclass
class Quality:
    """Sums over rounds."""

    n: int = 0
    powers: dict[int, float] = field(default_factory=lambda: dict.fromkeys(MOMENTS, 0.0))
    tails: dict[int, int] = field(default_factory=lambda: dict.fromkeys(TAILS, 0))
    bins: np.ndarray = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    seeds: np.ndarray = field(default_factory=lambda: np.zeros((SEEDS, SEEDS)))
    steps: np.ndarray = field(default_factory=lambda: np.zeros((STEPS, STEPS)))
    next: float = 0.0
    words: float = 0.0
    furthest: float = 0.0

    def add(self, drawn: np.ndarray) -> None:
        """Steps x seeds x elements."""
        self.n += drawn.size
        square = drawn * drawn
        self.furthest = max(self.furthest, float(np.sqrt(square.max())))
        # dot products: numpy's powers take ten times as long
        for power, factors in {2: (drawn, drawn), 3: (square, drawn), 4: (square, square)}.items():
            self.powers[power] += float(np.vdot(*factors))
        self.powers[1] += float(drawn.sum())
        for tail in TAILS:
            self.tails[tail] += int(np.count_nonzero(square > tail**2))
        self.bins += np.bincount((ndtr(drawn) * BINS).astype(np.int64).ravel(), minlength=BINS)
        by_seed = np.ascontiguousarray(drawn.swapaxes(0, 1)).reshape(SEEDS, -1)
        by_step = drawn.reshape(STEPS, -1)
        self.seeds += by_seed @ by_seed.T
        self.steps += by_step @ by_step.T
        self.next += float((drawn[..., 1:] * drawn[..., :-1]).sum())
        quarters = drawn.reshape(STEPS, SEEDS, 4, -1)
        self.words += float((quarters[:, :, 1:] * quarters[:, :, :-1]).sum())

    def scores(self) -> dict[str, float]:
        """How many standard deviations each measure is off; of pairs, the one furthest off."""
        moments = {
            f"mean of x^{power}": (self.powers[power] / self.n - mean) / np.sqrt(_VARIANCE[power] / self.n)
            for power, mean in MOMENTS.items()
        }
        return moments | {
            f"{pairs(SEEDS)} pairs of seeds": furthest(self.seeds, self.n / SEEDS),
            f"{pairs(STEPS)} pairs of steps": furthest(self.steps, self.n / STEPS),
            "neighbouring elements": self.next / np.sqrt(self.n * (COUNT - 1) / COUNT),
            "words of a block": self.words / np.sqrt(self.n * 3 / 4),
        }

    def fit(self) -> float:
        """The probability of a worse fit, by chi-square over the bins."""
        expected = self.n / BINS
        return float(chi2.sf(((self.bins - expected) ** 2 / expected).sum(), BINS - 1))


def pairs(n: int) -> int:
    """How many pairs n things have."""
    return n * (n - 1) // 2


def furthest(products: np.ndarray, n: float) -> float:
    """The sum of products furthest from 0, in standard deviations."""
    scores = products[np.triu_indices(len(products), 1)] / np.sqrt(n)
    return float(scores[np.abs(scores).argmax()])


def measured(rounds: int) -> Quality:
    """All measures of so many rounds, in float64 as float32 is its rounding."""
    quality = Quality()
    for number in range(rounds):
        steps = range(number * STEPS, (number + 1) * STEPS)
        drawn = draw_steps(
            {"noise": Draw((COUNT,))}, tuple(range(SEEDS)), "quality", steps, torch.float64, "cpu"
        )
        quality.add(drawn["noise"].numpy())
    return quality


def page(quality: Quality) -> str:
    """The figures in Markdown."""
    lines = ["# Normal draws", "", "`python -m benchmarks.draws.quality` wrote this page.", ""]
    lines += [f"{quality.n:,} draws; the furthest is {quality.furthest:.3f} from 0. ", ""]
    lines += ["| | standard deviations off |", "| --- | ---: |"]
    lines += [f"| {name} | {score:+.2f} |" for name, score in quality.scores().items()]
    lines += ["", "Of pairs, the one furthest off. ", ""]
    lines += ["| beyond | draws | expected | probability of so few | of so many |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for tail, count in quality.tails.items():
        p = 2 * ndtr(-tail)
        few, many = binom.cdf(count, quality.n, p), binom.sf(count - 1, quality.n, p)
        lines.append(f"| {tail} | {count:,} | {quality.n * p:,.1f} | {few:.3f} | {many:.3f} |")
    lines += ["", f"Fit over {BINS} equally probable bins: p = {quality.fit():.3f} by chi-square."]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser("benchmarks.draws.quality", description=__doc__)
    parser.add_argument("--draws", type=float, default=1e9, help="how many, rounded up to whole rounds")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "draws", help="folder of the page")
    options = parser.parse_args()
    rounds = int(-(-options.draws // (SEEDS * STEPS * COUNT)))
    text = page(measured(max(rounds, 1)))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "normals.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
