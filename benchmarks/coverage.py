"""How often intervals hold the truth, and how often nothing is called something: by simulation.

python -m benchmarks.coverage [--out docs/statistics.md]

Writes its table into the page, between the markers.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganbench import stats
from ganbench.report.tables import markdown_table

SEEDS = (5, 10, 20)
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
Sampler = Callable[[np.random.Generator, int], np.ndarray]


class Row(NamedTuple):
    """One line of the table: what was tried, and the share of hits at each number of seeds."""

    what: str
    data: str
    shares: tuple[float, ...]


def normal(generator: np.random.Generator, n: int) -> np.ndarray:
    return generator.normal(size=n)


def skewed(generator: np.random.Generator, n: int) -> np.ndarray:
    """Such as FIDs: a long upper tail."""
    return generator.lognormal(sigma=0.8, size=n)


def failing(generator: np.random.Generator, n: int) -> np.ndarray:
    """One run in ten fails."""
    return np.where(generator.random(n) < 0.1, math.inf, generator.normal(size=n))


SAMPLERS: dict[str, Sampler] = {"normal": normal, "lognormal": skewed, "normal, 10% failed": failing}


def rows(trials: int, seed: int = 0) -> Iterator[Row]:
    """Every line of the table."""
    generator = np.random.default_rng(seed)
    for rate in (0.05, 0.2, 0.5):
        yield Row("failure rate (Wilson)", f"rate {rate:g}", tuple(_rate(rate, n) for n in SEEDS))
    for name, sampler in SAMPLERS.items():
        truth = float(stats.iqm(sampler(generator, 4_000_000)))
        hits = tuple(_iqm(sampler, truth, n, trials, generator) for n in SEEDS)
        yield Row("IQM (`iqm_interval`)", name, hits)
        yield Row("IQM (percentile bootstrap)", name, tuple(
            _bootstrap(sampler, truth, n, trials, generator) for n in SEEDS
        ))  # fmt: skip
    for shift in (0.0, 1.0, 2.5):
        truth = 0.5 * math.erfc(-shift / 2)
        hits = tuple(_superiority(shift, truth, n, trials, generator) for n in SEEDS)
        yield Row("P(X < Y) (Newcombe)", f"normal, true value {truth:.2f}", hits)


def false_alarms(suites: int, seed: int = 0, variants: int = 10) -> Row:
    """Share of suites without any difference in which a pair of variants is called different."""
    generator = np.random.default_rng(seed)
    shares = []
    for n in SEEDS:
        alarms = 0
        for _ in range(suites):
            runs = [failing(generator, n) for _ in range(variants)]
            p = [stats.mann_whitney(x, y).p for i, x in enumerate(runs) for y in runs[i + 1 :]]
            alarms += bool((stats.holm(np.array(p)) <= 0.05).any())
        shares.append(alarms / suites)
    return Row(
        "some pair of 10 called different (Mann-Whitney, Holm)", "no difference, 10% failed", tuple(shares)
    )


def _rate(rate: float, n: int) -> float:
    """Exactly: the chance of the counts whose interval holds the rate."""
    chances = [math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)]
    held = [stats.wilson(k, n).low <= rate <= stats.wilson(k, n).high for k in range(n + 1)]
    return float(np.dot(chances, held))


def _iqm(sampler: Sampler, truth: float, n: int, trials: int, generator: np.random.Generator) -> float:
    found = (stats.iqm_interval(sampler(generator, n), generator) for _ in range(trials))
    return float(np.mean([low <= truth <= high for low, high in found]))


def _bootstrap(sampler: Sampler, truth: float, n: int, trials: int, generator: np.random.Generator) -> float:
    found = (
        stats.bootstrap_interval(sampler(generator, n), stats.iqm, generator, resamples=500)
        for _ in range(trials)
    )
    return float(np.mean([low <= truth <= high for low, high in found]))


def _superiority(shift: float, truth: float, n: int, trials: int, generator: np.random.Generator) -> float:
    found = (
        stats.superiority_interval(generator.normal(size=n), generator.normal(shift, size=n))
        for _ in range(trials)
    )
    return float(np.mean([low <= truth <= high for low, high in found]))


def table(found: list[Row]) -> str:
    """As Markdown."""
    lines = [[row.what, row.data, *(f"{share:.3f}" for share in row.shares)] for row in found]
    return markdown_table(["what", "data", *(f"n = {n}" for n in SEEDS)], lines, right=(2, 3, 4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/statistics.md"))
    parser.add_argument("--trials", type=int, default=4000)
    given = parser.parse_args()
    made = table([*rows(given.trials), false_alarms(1000)])
    before, _, rest = given.out.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    given.out.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
