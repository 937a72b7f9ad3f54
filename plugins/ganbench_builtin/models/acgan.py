"""GAN with an auxiliary classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import ganbench
from ganbench import Nets
from ganbench_builtin.models._aside import aside
from ganbench_builtin.models._conditional import Conditional


@dataclass(frozen=True)
class ACGAN(Conditional):
    """GAN with an auxiliary classifier (Odena et al. 2017, arXiv:1610.09585).

    The discriminator does not see the label: it gives a logit and the logits of the classes, and both players
    lower the cross-entropy of the label, the discriminator on real and on generated samples.

    Arguments:
        net: perceptrons for any data, or the networks of DCGAN.
        hidden: widths of the perceptrons' hidden layers.
        width: channels next to the image, of the convolutional networks.
        latent: numbers of noise.
        class_weight: of the cross-entropies.
        discriminator_turns: turns of the discriminator to one of the generator.
    """

    name = "acgan"
    net: Literal["mlp", "conv"] = "mlp"
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = (128, 128)
    width: Annotated[int, Field(gt=0)] = 64
    latent: Annotated[int, Field(gt=0)] = 16
    class_weight: Annotated[float, Field(ge=0)] = 1.0
    discriminator_turns: Annotated[int, Field(gt=0)] = 1

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent, B -> B x shape; discriminator: B x shape -> B x (1 + classes).

        "classes" is a place to ask for what the discriminator last said of classes (see `conditioned`).
        """
        return {**super().networks(spec), "classes": nn.Identity()}

    def _discriminator(self, spec: ganbench.DataSpec) -> nn.Module:
        """B x shape -> B x (1 + classes)."""
        body, features = self._features(spec.shape, spec.numel)
        return nn.Sequential(body, nn.Linear(features, 1 + spec.classes))

    def conditioned(self, nets: Nets, batch: Mapping[str, Tensor]) -> Nets:
        """The generator with the labels; the discriminator's logits alone, those of classes beside them."""
        labels = batch["labels"]
        labelled = nets.around("generator", lambda call: lambda noise: call(noise, labels))
        return aside(labelled, "discriminator", "classes")

    def play(self, player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """fake samples and both kinds of logits, and the cross-entropies of the labels."""
        labels = batch["labels"]
        fake = nets["generator"](batch["noise"])
        out: dict[str, Tensor] = {"fake": fake}
        if player == "discriminator" or self.pairs:
            out["real_logits"] = nets["discriminator"](batch["data"])
            out["real_class_loss"] = F.cross_entropy(nets["classes"](), labels)
        out["fake_logits"] = nets["discriminator"](fake)
        out["fake_class_loss"] = F.cross_entropy(nets["classes"](), labels)
        return out

    def terms(self, player: str, out: Mapping[str, Tensor]) -> Tensor:
        """The cross-entropies of the labels: of both kinds of samples for the discriminator."""
        fake = self.class_weight * out["fake_class_loss"]
        return fake if player == "generator" else fake + self.class_weight * out["real_class_loss"]
