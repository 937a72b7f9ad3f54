"""PatchGAN: a convolutional discriminator that judges overlapping patches."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganbench_builtin.models._spade import one_hot


def patch_layers(extent: int) -> int:
    """How many strided layers see about a quarter of an image's side, as 3 do of 256 pixels.

    1 (patches of 16 pixels) up to 64 pixels, 2 (patches of 34) up to 128, 3 (patches of 70) above.
    """
    return min(3, max(1, math.ceil(math.log2(extent)) - 5))


def smallest(layers: int) -> int:
    """The smallest extent of which that many strided layers leave a logit."""
    return 3 * 2**layers


def patchgan(channels: int, width: int, layers: int) -> nn.Sequential:
    """PatchGAN (Isola et al. 2017, arXiv:1611.07004, section 6.1.2) with `layers` strided convolutions.

    All are 4 x 4. Then come one of stride 1 and the logits': B x channels x H x W to B x 1 x h x w, with
    h = H / 2^layers (rounded down) - 2. Widths double from `width` up to eight times that. Instance norm in
    all stages but the first and the last.
    """
    widths = [width * min(2**stage, 8) for stage in range(layers + 1)]
    stages: list[nn.Module] = [nn.Sequential(nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2))]
    for stage in range(1, layers + 1):
        stages.append(_stage(widths[stage - 1], widths[stage], stride=2 if stage < layers else 1))
    return nn.Sequential(*stages, nn.Conv2d(widths[-1], 1, 4, 1, 1))


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    """The convolution has no bias, which the norm would take away again."""
    return nn.Sequential(
        nn.Conv2d(before, after, 4, stride, 1, bias=False), nn.InstanceNorm2d(after), nn.LeakyReLU(0.2)
    )


class MultiScale(nn.Module):
    """PatchGANs of the same kind at several scales, each half the one before, conditioned on label maps
    (Wang et al. 2018, arXiv:1711.11585, section 3.2)."""

    def __init__(self, channels: int, classes: int, width: int, layers: int, scales: int) -> None:
        super().__init__()
        self.classes = classes
        self.scales = nn.ModuleList(patchgan(channels + classes, width, layers) for _ in range(scales))

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and what every stage but the last gives, scale after scale.

        Logits are B x scales x h x w: the coarser ones are repeated to the size of the finest, so that a mean
        over all of them weighs each scale the same.

        Arguments:
            images: B x C x H x W.
            labels: B x H x W, uint8.
        """
        x = torch.cat([images, one_hot(labels, self.classes, images)], 1)
        logits, features = list[Tensor](), list[Tensor]()
        for scale in self.scales:
            *inner, last = _outputs(scale, x)
            logits.append(last)
            features += inner
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        finest = logits[0].shape[2:]
        return torch.cat([F.interpolate(coarse, size=finest) for coarse in logits], 1), features


def _outputs(stages: nn.Module, x: Tensor) -> list[Tensor]:
    """What each stage gives, in order."""
    outputs = []
    for stage in stages.children():
        x = stage(x)
        outputs.append(x)
    return outputs
