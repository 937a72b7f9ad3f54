"""Its noise comes from torch's global generator: no run can be repeated, nor mapped."""

from dataclasses import dataclass

import torch

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Technique):
    """The discriminator sees noisy samples (after Arjovsky and Bottou 2017, arXiv:1701.04862)."""

    name = "global-generator"

    def play(self, inner):
        def noisy(player, nets, batch):
            return inner(player, nets, {**batch, "data": batch["data"] + torch.randn_like(batch["data"])})

        return noisy


@ganbench.hookimpl
def ganbench_techniques():
    return [Wrong]
