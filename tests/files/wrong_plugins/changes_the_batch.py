"""It changes the data in place: whoever reads the batch after it sees other data."""

from dataclasses import dataclass

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Technique):
    """The discriminator sees smaller samples (after Arjovsky and Bottou 2017, arXiv:1701.04862)."""

    name = "changes-the-batch"

    def play(self, inner):
        def shrunk(player, nets, batch):
            batch["data"].mul_(0.5)
            return inner(player, nets, batch)

        return shrunk


@ganbench.hookimpl
def ganbench_techniques():
    return [Wrong]
