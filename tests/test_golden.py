"""The numbers of two tiny runs, held against committed ones.

`python tests/test_golden.py` makes tests/files/golden/*.json again. Say so in CHANGELOG.md under "Changes
results".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import variant

from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs, Trainer
from ganbench.executors import Eager
from ganbench.game.draws import CHUNK

GOLDEN = Path(__file__).parent / "files" / "golden"
SUITES: dict[str, dict[str, Any]] = {
    "gan": {"techniques": ("toy-penalty",), "options": {"toy-gan": {"norm": True}}},
    "duel": {"model": "toy-duel", "loss": "toy-saddle", "players": ("low", "high")},
}
STEPS = 70
"""More than one chunk of draws, so that the order of chunks counts too."""
TRAINERS = {"loop": (Looped, ()), "map": (Mapped, (Eager(),))}


def train(suite: str, way: str, catalogue, data) -> dict[str, Any]:
    """Final weights, buffers and last probes of two seeds, in float64, as JSON has them."""
    program = Program(variant(**SUITES[suite]), catalogue, data)
    kind, more = TRAINERS[way]
    trainer: Trainer = kind(program, Runs((3, 0), ({}, {})), data, torch.device("cpu"), *more)
    trainer.advance(CHUNK)
    probes = trainer.advance(STEPS - CHUNK)
    state = trainer.state()
    return {
        "joint": {name: tensor.tolist() for name, tensor in sorted(flat(state.joint).items())},
        "buffers": {name: tensor.tolist() for name, tensor in sorted(flat(state.buffers).items())},
        "probes": probes[-1].tolist(),
    }


def flat(tree: Any, prefix: str = "") -> dict[str, torch.Tensor]:
    """Path -> tensor."""
    if isinstance(tree, torch.Tensor):
        return {prefix: tree}
    return {
        path: leaf for key, branch in tree.items() for path, leaf in flat(branch, f"{prefix}/{key}").items()
    }


def compare(got: Any, expected: Any, path: str) -> None:
    """Within 1e-9, relative or absolute."""
    if isinstance(expected, dict):
        assert got.keys() == expected.keys(), path
        for key, value in expected.items():
            compare(got[key], value, f"{path}.{key}")
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9, err_msg=path)


@pytest.mark.golden
@pytest.mark.parametrize("way", TRAINERS)
@pytest.mark.parametrize("suite", SUITES)
def test_numbers_are_the_committed_ones(suite, way, toys, blob):
    expected = json.loads((GOLDEN / f"{suite}.json").read_text("utf-8"))
    compare(train(suite, way, toys, blob), expected, suite)


def remake() -> None:
    """Write the files anew, from the loop."""
    from ganbench.plugins import discovery

    catalogue = discovery.discover([Path(__file__).with_name("toys.py")])
    data = catalogue.get("dataset", "toy-blob").cls().load(None)
    GOLDEN.mkdir(exist_ok=True)
    for suite in SUITES:
        text = json.dumps(train(suite, "loop", catalogue, data), indent=1)
        (GOLDEN / f"{suite}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    remake()
