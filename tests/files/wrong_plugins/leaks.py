"""On the discriminator's turn its gradient reaches the generator, too."""

from dataclasses import dataclass

import ganbench


@dataclass(frozen=True)
class Wrong(ganbench.Technique):
    """A field of all players at once (after Mescheder et al. 2017, arXiv:1705.10461)."""

    name = "leaks"

    def field(self, inner):
        def leaking(turn, joint, buffers, batch):
            flow = inner(turn, joint, buffers, batch)
            others = {player: flat * 0.01 for player, flat in joint.items() if player not in turn}
            return flow._replace(gradients={**flow.gradients, **others})

        return leaking


@ganbench.hookimpl
def ganbench_techniques():
    return [Wrong]
