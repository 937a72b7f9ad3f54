"""Data sets: two mixtures of Gaussians, a point, and two sets of handwritten digits."""

from __future__ import annotations

from ganbench.components import Dataset
from ganbench_builtin.datasets.digits import Digits
from ganbench_builtin.datasets.grid import Grid
from ganbench_builtin.datasets.mnist import Mnist
from ganbench_builtin.datasets.point import Point
from ganbench_builtin.datasets.ring import Ring

ALL: list[type[Dataset]] = [Ring, Grid, Point, Digits, Mnist]
