"""Built-in models, one a file."""

from ganbench_builtin.models.dcgan import DCGAN
from ganbench_builtin.models.dirac_gan import DiracGAN
from ganbench_builtin.models.mlp_gan import MLPGAN
from ganbench_builtin.models.mlp_vae import MLPVAE

ALL = [DiracGAN, MLPGAN, DCGAN, MLPVAE]
