"""Its generator's method ends without a return."""

from dataclasses import dataclass

from torch.nn import functional as F

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Loss):
    """Hinge loss without a return (after Lim and Ye 2017, arXiv:1705.02894)."""

    name = "returns-none"
    family = "adversarial"

    def discriminator(self, out):
        return F.relu(1 - out["real_logits"]).mean() + F.relu(1 + out["fake_logits"]).mean()

    def generator(self, out):
        -out["fake_logits"].mean()


@ganbench.hookimpl
def ganbench_losses():
    return [Wrong]
