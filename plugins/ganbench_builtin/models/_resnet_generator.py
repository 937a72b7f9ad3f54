"""The residual image-to-image network of CycleGAN."""

from __future__ import annotations

from torch import Tensor, nn


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity, none with a nonlinearity after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            *_normed(nn.Conv2d(width, width, 3, bias=False)),
            nn.ReflectionPad2d(1),
            *_normed(nn.Conv2d(width, width, 3, bias=False))[:-1],
        )

    def forward(self, x: Tensor) -> Tensor:
        """B x width x h x w to the same."""
        return x + self.body(x)


def resnet_generator(channels: int, width: int, blocks: int) -> nn.Sequential:
    """Image to image (Johnson et al. 2016, arXiv:1603.08155, as in Zhu et al. 2017, section 7.2).

    B x channels x H x W to the same, in [-1, 1]; H and W are multiples of 4. 7 x 7, two halvings, residual
    blocks at a quarter of the size, two doublings, 7 x 7; reflection padding; instance norm without weights,
    so that convolutions before one need no bias.
    """
    return nn.Sequential(
        nn.ReflectionPad2d(3),
        *_normed(nn.Conv2d(channels, width, 7, bias=False)),
        *_normed(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False)),
        *_normed(nn.Conv2d(2 * width, 4 * width, 3, 2, 1, bias=False)),
        *(_Residual(4 * width) for _ in range(blocks)),
        *_normed(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, 1, bias=False)),
        *_normed(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1, bias=False)),
        nn.ReflectionPad2d(3),
        nn.Conv2d(width, channels, 7),
        nn.Tanh(),
    )


def _normed(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [conv, nn.InstanceNorm2d(conv.out_channels), nn.ReLU()]
