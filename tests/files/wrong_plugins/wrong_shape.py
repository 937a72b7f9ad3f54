"""It gives a value a sample, not their mean."""

from dataclasses import dataclass

from torch.nn import functional as F

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Loss):
    """Hinge loss of each sample (after Lim and Ye 2017, arXiv:1705.02894)."""

    name = "wrong-shape"
    family = "adversarial"

    def discriminator(self, out):
        return F.relu(1 - out["real_logits"]) + F.relu(1 + out["fake_logits"])

    def generator(self, out):
        return -out["fake_logits"].mean()


@ganbench.hookimpl
def ganbench_losses():
    return [Wrong]
