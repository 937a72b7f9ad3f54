"""What the loggers have in common: which package one needs, what a run is, its metrics by tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any


def lacking(package: str, logger: str) -> str | None:
    """A sentence where `package` is not installed. A folder of that name here is no package."""
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:
        return None
    return f"the logger {logger!r} needs the package {package}: pip install 'ganbench[{logger}]'"


def facts(stack: Mapping[str, Any], run: int) -> dict[str, Any]:
    """What identifies a run of a stack: its parts by name, its seed, the values of swept options."""
    config = stack["configs"][run]
    return {
        "variant": stack["variants"][run],
        "model": config["model"]["name"],
        "loss": config["loss"]["name"],
        "techniques": "+".join(entry["name"] for entry in config["techniques"]) or "plain",
        "dataset": config["dataset"]["name"],
        "seed": stack["seeds"][run],
        **stack["swept"][run],
    }


def by_run(rows: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, float]]:
    """Run -> metric -> value. Metrics taken at averaged weights are named so: "fid/ema"."""
    values: dict[int, dict[str, float]] = {}
    for row in rows:
        tag = row["metric"] if row.get("weights", "raw") == "raw" else f"{row['metric']}/{row['weights']}"
        values.setdefault(row["run"], {})[tag] = row["value"]
    return values
