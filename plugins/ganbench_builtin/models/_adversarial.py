"""How a generator and a discriminator meet: what every unconditional GAN has in common."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

import ganbench
from ganbench import Nets, Turn


class Adversarial(ganbench.Model):
    """A generator that maps noise to samples against a discriminator that maps samples to logits.

    Subclasses are dataclasses with the options `latent` and `discriminator_turns`.
    """

    family = "adversarial"
    latent: int
    discriminator_turns: int

    def players(self) -> dict[str, tuple[str, ...]]:
        """Generator and discriminator, with one network each."""
        return {"generator": ("generator",), "discriminator": ("discriminator",)}

    def turns(self) -> tuple[Turn, ...]:
        """The discriminator's turns, then the generator's."""
        return (("discriminator",),) * self.discriminator_turns + (("generator",),)

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Noise: B x latent."""
        return {"noise": ganbench.Draw((batch, self.latent))}

    def play(self, player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """fake and fake_logits; real_logits on the discriminator's turn, or where the loss pairs them."""
        fake = nets["generator"](batch["noise"])
        if player == "generator" and not self.pairs:
            return {"fake": fake, "fake_logits": nets["discriminator"](fake)}
        real_logits = nets["discriminator"](batch["data"])
        return {"fake": fake, "real_logits": real_logits, "fake_logits": nets["discriminator"](fake)}

    def sample_draws(self, spec: ganbench.DataSpec, n: int) -> dict[str, ganbench.Draw]:
        """Noise: n x latent."""
        return self.draws(spec, n)

    def sample(self, nets: Nets, batch: Mapping[str, Tensor]) -> Tensor:
        """The generator's samples."""
        samples: Tensor = nets["generator"](batch["noise"])
        return samples
