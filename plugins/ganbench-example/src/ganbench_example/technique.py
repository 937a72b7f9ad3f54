"""A technique on the gradient field, whose option is swept in the suite."""

from dataclasses import dataclass

import ganbench

EPSILON = 1e-12
"""Added to the squared norm, so that a zero gradient stays zero."""


@dataclass(frozen=True)
class NormalisedGradient(ganbench.Technique):
    """Each player's gradient g becomes g / |g|^power (Hazan et al. 2015, arXiv:1507.02030, for power 1).

    Arguments:
        power: 0 leaves the gradient as it is, 1 keeps its direction only.
    """

    name = "normalised-gradient"
    power: float = 1.0

    def field(self, inner: ganbench.GradientField) -> ganbench.GradientField:
        """Scales the gradients of the inner field. A player's gradient is one vector."""

        def normalised(
            turn: ganbench.Turn, joint: ganbench.Joint, buffers: ganbench.Named, batch: ganbench.Batch
        ) -> ganbench.Flow:
            flow = inner(turn, joint, buffers, batch)
            scaled = {
                player: gradient * (gradient.square().sum() + EPSILON) ** (-self.power / 2)
                for player, gradient in flow.gradients.items()
            }
            return flow._replace(gradients=scaled)

        return normalised
