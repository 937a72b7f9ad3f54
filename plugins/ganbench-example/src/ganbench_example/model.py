"""A model."""

from dataclasses import dataclass
from typing import Annotated

import ganbench
from pydantic import Field
from torch import Tensor, nn


class Block(nn.Module):
    """x + W2 tanh(W1 x), of B x width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """B x width -> B x width."""
        residual: Tensor = self.inner(x)
        return x + residual


@dataclass(frozen=True)
class ResidualMLPGAN(ganbench.Model):
    """A GAN of two residual multilayer perceptrons (blocks after He et al. 2016, arXiv:1603.05027).

    Arguments:
        width: of both networks.
        blocks: residual blocks of each.
        latent: dimension of the noise.
    """

    name = "residual-mlp-gan"
    family = "adversarial"
    width: Annotated[int, Field(gt=0)] = 64
    blocks: Annotated[int, Field(ge=0)] = 2
    latent: Annotated[int, Field(gt=0)] = 2

    def players(self) -> dict[str, tuple[str, ...]]:
        """Each player and the networks that it owns."""
        return {"generator": ("generator",), "discriminator": ("discriminator",)}

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent -> B x shape; discriminator: B x shape -> B x 1."""
        generator, discriminator = self._network(self.latent, spec.numel), self._network(spec.numel, 1)
        return {
            "generator": nn.Sequential(*generator, nn.Unflatten(1, spec.shape)),
            "discriminator": nn.Sequential(nn.Flatten(), *discriminator),
        }

    def _network(self, inputs: int, outputs: int) -> list[nn.Module]:
        blocks = [Block(self.width) for _ in range(self.blocks)]
        return [nn.Linear(inputs, self.width), *blocks, nn.Linear(self.width, outputs)]

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Noise: B x latent."""
        return {"noise": ganbench.Draw((batch, self.latent))}

    def play(self, player: str, nets: ganbench.Nets, batch: ganbench.Batch) -> ganbench.Out:
        """The logits that losses of this family read."""
        fake = nets["generator"](batch["noise"])
        out = {"fake": fake, "fake_logits": nets["discriminator"](fake)}
        if player == "discriminator" or self.pairs:
            out["real_logits"] = nets["discriminator"](batch["data"])
        return out

    def sample_draws(self, spec: ganbench.DataSpec, n: int) -> dict[str, ganbench.Draw]:
        """Noise: n x latent."""
        return self.draws(spec, n)

    def sample(self, nets: ganbench.Nets, batch: ganbench.Batch) -> Tensor:
        """n x shape."""
        return nets["generator"](batch["noise"])
