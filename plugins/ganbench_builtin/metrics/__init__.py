"""Metrics: mode counts, FID, the energy distance, and the distance to the Dirac game's equilibrium."""

from __future__ import annotations

from ganbench.components import Metric
from ganbench_builtin.metrics.distance import Distance
from ganbench_builtin.metrics.energy import EnergyDistance
from ganbench_builtin.metrics.fid import Fid
from ganbench_builtin.metrics.modes import Modes

ALL: list[type[Metric]] = [Modes, Fid, EnergyDistance, Distance]
