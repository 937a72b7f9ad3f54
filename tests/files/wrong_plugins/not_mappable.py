"""It looks at a tensor in Python."""

from dataclasses import dataclass

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Loss):
    """A loss with a schedule of its own (after Lim and Ye 2017, arXiv:1705.02894)."""

    name = "not-mappable"
    family = "adversarial"

    def discriminator(self, out):
        return out["fake_logits"].mean() - out["real_logits"].mean()

    def generator(self, out):
        sharpness = 2.0 if out["fake_logits"].mean().item() > 0 else 1.0
        return -sharpness * out["fake_logits"].mean()


@ganbench.hookimpl
def ganbench_losses():
    return [Wrong]
