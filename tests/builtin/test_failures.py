"""The suite failures: runs that are known to fail do, for the right reason, and their cures cure them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from run_cli import ganbench_here

import ganbench

SUITE = Path(__file__).parents[2] / "benchmarks" / "failures.toml"
EXPECTED = {
    "digits/mlp-gan/minimax/plain [mlp-gan.discriminator_turns=5]": (
        "saturated",
        "accuracies on real and on",
    ),
    "digits/mlp-gan/minimax/plain [mlp-gan.discriminator_turns=1]": ("finished", ""),
    "digits/mlp-gan/minimax/r1": ("finished", ""),
    "ring/mlp-gan/non-saturating/plain": ("collapsed", "mode collapse"),
    "ring/mlp-gan/non-saturating/r1": ("finished", ""),
    "digits/mlp-vae/elbo/plain [lr=1]": ("diverged", "became non-finite"),
    "digits/mlp-vae/elbo/plain [lr=0.01]": ("finished", ""),
    "digits/mlp-vae/beta-vae/plain [beta-vae.beta=100]": ("collapsed", "posterior collapse: 0 active units"),
    "digits/mlp-vae/beta-vae/plain [beta-vae.beta=1]": ("finished", ""),
}
"""Variant -> outcome, and what its reason says."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("failures")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The runs of the whole suite, trained here."""
    out = tmp_path_factory.mktemp("failures")
    done = ganbench_here("run", SUITE, "--out", out)
    assert done.code == 0, done.err
    return ganbench.load(out).runs


def test_every_variant_is_expected_to_do_something(runs: pd.DataFrame) -> None:
    assert set(runs["variant"]) == set(EXPECTED)
    assert (runs.groupby("variant", observed=True).size() == 5).all()


@pytest.mark.parametrize("variant", EXPECTED)
def test_at_least_four_of_five_seeds_end_as_they_should(runs: pd.DataFrame, variant: str) -> None:
    outcome, reason = EXPECTED[variant]
    own = runs[runs["variant"] == variant]
    right = (own["outcome"] == outcome) & own["reason"].fillna("").str.contains(reason, regex=False)
    assert right.sum() >= 4, own[["seed", "outcome", "reason"]].to_string()
