"""Networks of GauGAN: spatially adaptive normalisation, the generator made of it, and the style encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SMALLEST = 4  # pixels a side at which the generator begins and the encoder ends


def one_hot(labels: Tensor, classes: int, like: Tensor) -> Tensor:
    """B x H x W classes to B x classes x H x W, in the precision of `like`."""
    return (labels[:, None] == torch.arange(classes, device=labels.device)[:, None, None]).to(like.dtype)


class SPADE(nn.Module):
    """Spatially adaptive normalisation (Park et al. 2019, arXiv:1903.07291, eq. 1 to 3).

    Normalises each channel over the batch and all places, then scales by 1 + gamma and shifts by beta, which
    two convolutions compute from the label map at every place.
    """

    def __init__(self, channels: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = nn.Conv2d(classes, hidden, 3, padding=1)
        self.modulation = nn.Conv2d(hidden, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """B x channels x h x w to the same, for labels B x classes x H x W."""
        labels = F.interpolate(labels, size=x.shape[2:])
        gamma, beta = self.modulation(F.relu(self.shared(labels))).chunk(2, dim=1)
        normal: Tensor = self.norm(x)
        return normal * (1 + gamma) + beta


class _Block(nn.Module):
    """Residual block (figure 4 of the paper). No bias, which the next block's norms would take away."""

    def __init__(self, before: int, after: int, classes: int, hidden: int) -> None:
        super().__init__()
        middle = min(before, after)
        self.spade_0, self.spade_1 = SPADE(before, classes, hidden), SPADE(middle, classes, hidden)
        self.conv_0 = nn.Conv2d(before, middle, 3, padding=1, bias=False)
        self.conv_1 = nn.Conv2d(middle, after, 3, padding=1, bias=False)
        self.learned = before != after
        if self.learned:
            self.spade_s = SPADE(before, classes, hidden)
            self.conv_s = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """B x before x h x w to B x after x h x w."""
        beside = self.conv_s(self.spade_s(x, labels)) if self.learned else x
        x = self.conv_0(F.leaky_relu(self.spade_0(x, labels), 0.2))
        x = self.conv_1(F.leaky_relu(self.spade_1(x, labels), 0.2))
        return beside + x


class SPADEGenerator(nn.Module):
    """Style and label map to image (appendix A of the paper, scaled down to the image's size).

    A linear layer, a block, then a doubling and a block until the size is reached. Filters end at `width`
    and are twice as many at each halving, up to sixteen times that.

    Arguments:
        shape: of an image.
        classes: of label maps.
        latent: numbers in a style.
        width: filters of the last block.
        hidden: filters between label map and modulation.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, latent: int, width: int, hidden: int) -> None:
        super().__init__()
        base, doublings = shape[1:], 0
        while all(extent % 2 == 0 and extent // 2 >= _SMALLEST for extent in base):
            base, doublings = tuple(extent // 2 for extent in base), doublings + 1
        widths = [width * min(2**level, 16) for level in range(doublings, -1, -1)]
        self.classes = classes
        self.start = nn.Sequential(
            nn.Linear(latent, widths[0] * base[0] * base[1]), nn.Unflatten(1, (widths[0], *base))
        )
        pairs = zip([widths[0], *widths], widths, strict=False)
        self.blocks = nn.ModuleList(_Block(*pair, classes, hidden) for pair in pairs)
        self.end = nn.Conv2d(width, shape[0], 3, padding=1)

    def forward(self, style: Tensor, labels: Tensor) -> Tensor:
        """B x latent and B x H x W (uint8) to B x C x H x W in [-1, 1]."""
        wanted = one_hot(labels, self.classes, style)
        x = self.start(style)
        for index, block in enumerate(self.blocks):
            x = block(F.interpolate(x, scale_factor=2) if index else x, wanted)
        return torch.tanh(self.end(F.leaky_relu(x, 0.2)))


def style_encoder(shape: tuple[int, ...], latent: int, width: int) -> nn.Sequential:
    """Image to mean and log variance of its style (appendix A of the paper): B x C x H x W to B x 2 latent.

    Halvings by 3 x 3 convolutions until 4 pixels a side are left; filters double from `width` up to eight
    times that; instance norm.
    """
    channels, extents = shape[0], shape[1:]
    layers: list[nn.Module] = []
    while max(extents) > _SMALLEST:
        after = min(2 * channels, 8 * width) if layers else width
        conv = nn.Conv2d(channels, after, 3, 2, 1, bias=False)
        layers += [conv, nn.InstanceNorm2d(after), nn.LeakyReLU(0.2)]
        channels, extents = after, tuple((extent + 1) // 2 for extent in extents)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * extents[0] * extents[1], 2 * latent))
