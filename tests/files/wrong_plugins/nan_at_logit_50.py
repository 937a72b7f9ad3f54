"""1 - sigmoid(50) is 0 in float32, and its logarithm -inf."""

from dataclasses import dataclass

import torch

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Loss):
    """The minimax loss as it is written (after Lim and Ye 2017, arXiv:1705.02894)."""

    name = "nan-at-logit-50"
    family = "adversarial"

    def discriminator(self, out):
        real, fake = torch.sigmoid(out["real_logits"]), torch.sigmoid(out["fake_logits"])
        return -real.log().mean() - (1 - fake).log().mean()

    def generator(self, out):
        return (1 - torch.sigmoid(out["fake_logits"])).log().mean()


@ganbench.hookimpl
def ganbench_losses():
    return [Wrong]
