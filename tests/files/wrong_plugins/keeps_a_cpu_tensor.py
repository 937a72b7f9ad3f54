"""It keeps a tensor where it was made, on the CPU: on a GPU the first step fails."""

from dataclasses import dataclass

import torch

import ganbench

SIGNS = torch.tensor([1.0, -1.0])


@dataclass(frozen=True)
class Wrong(ganbench.Loss):
    """A difference of means (after Arjovsky et al. 2017, arXiv:1701.07875)."""

    name = "keeps-a-cpu-tensor"
    family = "adversarial"

    def discriminator(self, out):
        means = torch.stack([out["fake_logits"].mean(), out["real_logits"].mean()])
        return (means * SIGNS).sum()

    def generator(self, out):
        return -out["fake_logits"].mean()


@ganbench.hookimpl
def ganbench_losses():
    return [Wrong]
