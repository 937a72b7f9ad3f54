"""The built-in components of ganbench. They come through the entry point group like anybody else's."""

from __future__ import annotations

from pathlib import Path

import ganbench
from ganbench_builtin import datasets, extractors, loggers, losses, metrics, models, techniques


@ganbench.hookimpl
def ganbench_models() -> list[type[ganbench.Model]]:
    """Built-in models."""
    return models.ALL


@ganbench.hookimpl
def ganbench_losses() -> list[type[ganbench.Loss]]:
    """Built-in losses."""
    return losses.ALL


@ganbench.hookimpl
def ganbench_techniques() -> list[type[ganbench.Technique]]:
    """Built-in techniques."""
    return techniques.ALL


@ganbench.hookimpl
def ganbench_datasets() -> list[type[ganbench.Dataset]]:
    """Built-in data sets."""
    return datasets.ALL


@ganbench.hookimpl
def ganbench_metrics() -> list[type[ganbench.Metric]]:
    """Built-in metrics."""
    return metrics.ALL


@ganbench.hookimpl
def ganbench_extractors() -> list[type[ganbench.Extractor]]:
    """Built-in feature extractors."""
    return extractors.ALL


@ganbench.hookimpl
def ganbench_loggers() -> list[type[ganbench.Logger]]:
    """Built-in loggers."""
    return loggers.ALL


@ganbench.hookimpl
def ganbench_suites() -> list[Path]:
    """Suites that are shipped: beside this package in a wheel, in `benchmarks` in a checkout."""
    here = Path(__file__).parent
    folders = (here / "suites", here.parent.parent / "benchmarks")
    return sorted(path for folder in folders for path in folder.glob("*.toml"))
