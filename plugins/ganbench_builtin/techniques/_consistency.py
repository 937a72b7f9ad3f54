"""How much a discriminator's logits change when images are flipped and shifted."""

from __future__ import annotations

from torch import Tensor

from ganbench_builtin.techniques._augment import eighth, flip, integer, shifted
from ganbench_builtin.techniques._gradient_penalty import Critic

COLUMNS = 3
"""Uniform numbers that an image takes."""


def inconsistency(critic: Critic, x: Tensor, moved: Tensor) -> Tensor:
    """E[(D(x) - D(moved))^2], over samples, and over logits where a sample has several."""
    return (critic(x) - critic(moved)).square().mean()


def jittered(x: Tensor, uniform: Tensor, shift: int, flips: bool) -> Tensor:
    """Images flipped half the time, then moved by up to `shift` pixels, or an eighth of the side if less.

    Arguments:
        x: B x C x H x W.
        uniform: B x COLUMNS.
    """
    x = flip(x, uniform[:, :1]) if flips else x
    most = [min(shift, eighth(extent)) for extent in x.shape[2:]]
    down, right = (integer(uniform[:, 1 + k], -most[k], most[k]) for k in (0, 1))
    return shifted(x, down, right, mirror=True)
