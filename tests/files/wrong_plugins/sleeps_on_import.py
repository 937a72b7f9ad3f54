"""Every command waits for it."""

import time
from dataclasses import dataclass

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Loss):
    """Wasserstein loss (after Lim and Ye 2017, arXiv:1705.02894)."""

    name = "sleeps-on-import"
    family = "adversarial"

    def discriminator(self, out):
        return out["fake_logits"].mean() - out["real_logits"].mean()

    def generator(self, out):
        return -out["fake_logits"].mean()


time.sleep(2.2)


@ganbench.hookimpl
def ganbench_losses():
    return [Wrong]
