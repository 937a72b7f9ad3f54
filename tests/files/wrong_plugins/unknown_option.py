"""Its options are taken whatever they are called: a typing error changes nothing, and nobody knows."""

from dataclasses import dataclass

from pydantic import ConfigDict
from torch.nn import functional as F

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Loss):
    """Hinge loss with a margin (after Lim and Ye 2017, arXiv:1705.02894).

    Arguments:
        margin: logits that are right by more than this do not count.
    """

    name = "unknown-option"
    family = "adversarial"
    __pydantic_config__ = ConfigDict(extra="ignore")
    margin: float = 1.0

    def discriminator(self, out):
        real, fake = out["real_logits"], out["fake_logits"]
        return F.relu(self.margin - real).mean() + F.relu(self.margin + fake).mean()

    def generator(self, out):
        return -out["fake_logits"].mean()


@ganbench.hookimpl
def ganbench_losses():
    return [Wrong]
