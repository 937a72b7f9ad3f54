"""Suites of one variant, as small as they can be, that put a built-in component through everything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from test_stacks import MODELS, SMALL, plain_loss

ADAM = {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]}
DATASETS = {
    "dirac-gan": "point",
    "mlp-gan": "ring",
    "pacgan-net": "ring",
    "cyclegan": "digits-translation",
    "gaugan": "digits-maps",
    "stacked-dcgan": "stacked-digits",
    "stacked-dcgan-small": "stacked-digits",
}
"""Model -> the data that it is made for; the others take digits."""
SIZES = {"ring": 200} | dict.fromkeys(("digits", "digits-maps", "stacked-digits"), 16)
"""Samples of the ring, pixels of images."""


def small_suite(
    model: str,
    loss: str = "",
    techniques: Sequence[str] = (),
    dataset: str = "",
    metrics: Sequence[str] = (),
    optimizer: Mapping[str, Any] = ADAM,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Two runs of four steps, evaluated before the first, in the middle and at the end."""
    dataset = dataset or DATASETS.get(model, "digits")
    known = MODELS[model].__dataclass_fields__
    small = {name: value for name, value in SMALL.get(model, {}).items() if name in known}
    tables = {model: small, dataset: {"size": SIZES[dataset]} if dataset in SIZES else {}, **(options or {})}
    defaults = {
        "dataset": dataset,
        "model": model,
        "loss": loss or plain_loss(model),
        "techniques": list(techniques),
        "steps": 4,
        "batch": 8,
        "seeds": 2,
        "optimizer": dict(optimizer),
        "evaluate": {"every": 2, "samples": 100, "metrics": list(metrics)},
    }
    lines = ["schema = 1", 'name = "small"', "[defaults]", *_lines(defaults)]
    for name, table in tables.items():
        lines += [f"[options.{name}]", *_lines(table)]
    return "\n".join(lines)


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in table.items()]


def _toml(value: Any) -> str:
    """A value as TOML has it, which is JSON but for tables."""
    return f"{{ {', '.join(_lines(value))} }}" if isinstance(value, Mapping) else json.dumps(value)
