"""What GANs that are conditioned on labels have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

import ganbench
from ganbench import Nets
from ganbench_builtin.models._adversarial import Adversarial
from ganbench_builtin.models._conv import generator, initialise, square, trunk
from ganbench_builtin.models._mlp import mlp
from ganbench_builtin.models.dcgan import SIZES


def one_hot(labels: Tensor, classes: int, like: Tensor) -> Tensor:
    """B -> B x classes. torch's own looks at its values, which a mapped step cannot."""
    return (labels[:, None] == torch.arange(classes, device=labels.device)).to(like.dtype)


class LabelledNoise(nn.Module):
    """A generator of noise and labels side by side."""

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """B x latent and B labels -> B x shape."""
        out: Tensor = self.net(torch.cat([noise, one_hot(labels, self.classes, noise)], dim=1))
        return out


class Conditional(Adversarial):
    """The generator is given the label with the noise; subclasses say what the discriminator does with it.

    They are dataclasses with the options `net`, `hidden`, `width`, `latent` and `discriminator_turns`.
    """

    net: Literal["mlp", "conv"]
    hidden: tuple[int, ...]
    width: int

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent, B -> B x shape; discriminator: see the subclass."""
        if spec.classes < 2:
            raise ganbench.BadInput(f"{self.name} needs data with labels, such as digits")
        if self.net == "conv":
            square(spec, f"{self.name} with net = 'conv'", SIZES)
        inner = self._inner_generator(spec)
        return {
            "generator": LabelledNoise(inner, spec.classes),
            "discriminator": self._discriminator(spec),
        }

    def _inner_generator(self, spec: ganbench.DataSpec) -> nn.Module:
        inputs = self.latent + spec.classes
        if self.net == "conv":
            return initialise(generator(inputs, self.width, spec))
        net = mlp((inputs, *self.hidden, spec.numel), "relu")
        return net if len(spec.shape) == 1 else nn.Sequential(net, nn.Tanh(), nn.Unflatten(1, spec.shape))

    def _features(self, shape: tuple[int, ...], numel: int) -> tuple[nn.Module, int]:
        """A body B x shape -> B x n of the discriminator, and that n."""
        if self.net == "conv":
            layers, features = trunk(self.width, ganbench.DataSpec(shape))
            return initialise(nn.Sequential(*layers)), features
        if not self.hidden:
            return nn.Flatten(), numel
        body = [nn.Flatten(), mlp((numel, *self.hidden), "leaky-relu"), nn.LeakyReLU(0.2)]
        return nn.Sequential(*body), self.hidden[-1]

    def _discriminator(self, spec: ganbench.DataSpec) -> nn.Module:
        raise NotImplementedError

    def conditioned(self, nets: Nets, batch: Mapping[str, Tensor]) -> Nets:
        """Both networks with this batch's labels."""
        labels = batch["labels"]

        def labelled(call: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
            return lambda x: call(x, labels)

        return nets.around("generator", labelled).around("discriminator", labelled)

    def sample(self, nets: Nets, batch: Mapping[str, Tensor]) -> Tensor:
        """The generator's samples for the batch's labels."""
        return super().sample(self.conditioned(nets, batch), batch)
