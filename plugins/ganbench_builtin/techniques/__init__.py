"""Built-in techniques, one a file."""

from ganbench.components import Technique
from ganbench_builtin.techniques.ema import EMA
from ganbench_builtin.techniques.gradient_clipping import GradientClipping
from ganbench_builtin.techniques.r1 import R1
from ganbench_builtin.techniques.spectral_norm import SpectralNorm
from ganbench_builtin.techniques.ttur import TTUR
from ganbench_builtin.techniques.weight_clipping import WeightClipping
from ganbench_builtin.techniques.wgan_gp import WGANGP

ALL: list[type[Technique]] = [R1, SpectralNorm, WeightClipping, WGANGP, EMA, TTUR, GradientClipping]
