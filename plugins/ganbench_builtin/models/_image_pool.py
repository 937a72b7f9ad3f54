"""A history of generated images, as state that is threaded through the step."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """History of generated images (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3) as in CycleGAN.

    Images come one after another. Until `size` are held, each is stored and given back. From then on, with
    probability 1/2, an image takes a place drawn at random and what lay there is given in its stead.

    Arguments:
        size: how many images it holds.
        shape: of one image.
    """

    images: Tensor
    held: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))

    def forward(self, fresh: Tensor, swap: Tensor, place: Tensor) -> Tensor:
        """The images that the discriminator sees in place of the fresh ones.

        Arguments:
            fresh: B x shape.
            swap, place: B uniform draws: whether an image is exchanged (below 1/2), and with which.
        """
        size, count = len(self.images), len(fresh)
        places, turns = (torch.arange(n, device=fresh.device) for n in (size, count))
        filling = self.held + turns < size
        swapped = ~filling & (swap < 0.5)
        taken = torch.where(filling, self.held + turns, (place * size).long())
        stored = filling | swapped

        # a place holds the last image stored in it before, which may be one of this very batch
        before = _last(stored & (taken == taken[:, None]) & (turns < turns[:, None]))
        after = _last(stored & (taken == places[:, None]))
        found = torch.where(before < 0, taken, size + before)
        everything = torch.cat([self.images, fresh])
        given = everything.index_select(0, torch.where(swapped, found, size + turns))
        kept = everything.index_select(0, torch.where(after < 0, places, size + after))
        self.images, self.held = kept.detach(), (self.held + count).clamp(max=size)
        return given


def _last(flags: Tensor) -> Tensor:
    """Number of the last flagged entry of each row, -1 where there is none."""
    return torch.where(flags, torch.arange(flags.shape[1], device=flags.device), -1).amax(1)
