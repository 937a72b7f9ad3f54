"""What this distribution provides: one hook per kind. The entry point in pyproject.toml names this module."""

from pathlib import Path

import ganbench

from ganbench_example.logger import OutcomeTable
from ganbench_example.loss import TemperedLogistic
from ganbench_example.metric import RadialWasserstein
from ganbench_example.model import ResidualMLPGAN
from ganbench_example.technique import NormalisedGradient


@ganbench.hookimpl
def ganbench_losses() -> list[type[ganbench.Loss]]:
    """The losses of this plugin."""
    return [TemperedLogistic]


@ganbench.hookimpl
def ganbench_techniques() -> list[type[ganbench.Technique]]:
    """The techniques of this plugin."""
    return [NormalisedGradient]


@ganbench.hookimpl
def ganbench_models() -> list[type[ganbench.Model]]:
    """The models of this plugin."""
    return [ResidualMLPGAN]


@ganbench.hookimpl
def ganbench_metrics() -> list[type[ganbench.Metric]]:
    """The metrics of this plugin."""
    return [RadialWasserstein]


@ganbench.hookimpl
def ganbench_loggers() -> list[type[ganbench.Logger]]:
    """The loggers of this plugin."""
    return [OutcomeTable]


@ganbench.hookimpl
def ganbench_suites() -> list[Path]:
    """The suites of this plugin."""
    return [Path(__file__).with_name("example.toml")]
