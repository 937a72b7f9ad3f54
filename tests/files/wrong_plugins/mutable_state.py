"""It remembers what it saw: asked again, it says something else."""

from dataclasses import dataclass

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Loss):
    """A loss with a baseline that it remembers (after Lim and Ye 2017, arXiv:1705.02894)."""

    name = "mutable-state"
    family = "adversarial"
    seen = []

    def discriminator(self, out):
        return out["fake_logits"].mean() - out["real_logits"].mean()

    def generator(self, out):
        self.seen.append(out["fake_logits"].detach().mean())
        return -out["fake_logits"].mean() * len(self.seen)


@ganbench.hookimpl
def ganbench_losses():
    return [Wrong]
