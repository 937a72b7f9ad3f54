"""Built-in models, one a file."""

from ganbench.components import Model
from ganbench_builtin.models.dcgan import DCGAN
from ganbench_builtin.models.dirac_gan import DiracGAN
from ganbench_builtin.models.mlp_gan import MLPGAN
from ganbench_builtin.models.mlp_vae import MLPVAE

ALL: list[type[Model]] = [DiracGAN, MLPGAN, DCGAN, MLPVAE]
