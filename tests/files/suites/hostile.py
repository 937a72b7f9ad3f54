"""A plugin whose losses have names that try everything."""

from dataclasses import dataclass

from torch.nn import functional as F

import ganbench


@dataclass(frozen=True)
class Evil(ganbench.Loss):
    """Its name is all that is wrong with it."""

    name = "../../evil [/red] <b>|`x`"
    family = "toy-gan"

    def discriminator(self, out):
        return F.softplus(-out["real_logits"]).mean() + F.softplus(out["fake_logits"]).mean()

    def generator(self, out):
        return F.softplus(-out["fake_logits"]).mean()


@dataclass(frozen=True)
class Colourful(Evil):
    """A name \x1b[31m that would colour the terminal."""

    name = "colour\x1b[31mful"


@ganbench.hookimpl
def ganbench_losses():
    return [Evil, Colourful]
