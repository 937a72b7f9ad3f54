"""Extra-Adam."""

from __future__ import annotations

from dataclasses import dataclass

import ganbench
from ganbench import Clock, Joint, Memory, Rule
from ganbench_builtin.techniques._clock import choose


@dataclass(frozen=True)
class ExtraAdam(ganbench.Technique):
    """Extragradient by the optimiser's own steps (Gidel et al. 2019, arXiv:1802.10551, algorithm 4).

    A player's odd updates extrapolate: they move it as usual and remember where it stood, the anchor. Its
    even ones move it from the anchor, along the gradient taken where it had extrapolated to. So an iteration
    of the paper is two steps here, each with a batch of its own, and a step costs what a plain one costs. The
    optimiser's memory is updated in both halves, and its count goes up in both, as in the authors' code.
    Around `adam` it is extra-Adam, around `sgd` extragradient descent.

    Published with simultaneous moves. Where turns alternate, each player still has halves of its own; give
    both as many turns, or their halves drift apart. L2 weight decay of an even update is taken at the anchor.
    Metrics see the anchor, which an even update makes the current point. It conflicts with lookahead, whose
    slow step may fall between the halves (take `extragradient` for that), and with other ways to look ahead.
    """

    name = "extra-adam"
    order = 12  # a half is a whole update: optimiser, scaling and projection
    conflicts = ("lookahead", "optimistic-adam", "extragradient")

    def rule(self, inner: Rule) -> Rule:
        """Starts the inner rule's even updates at the anchor. Remembers "player/extra-adam-anchor"."""

        def init(joint: Joint) -> Memory:
            return inner.init(joint) | {_key(player): flat.clone() for player, flat in joint.items()}

        def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
            extrapolates = {player: clock.updates[player] % 2 == 1 for player in gradients}
            start = joint | {
                player: choose(odd, joint[player], memory[_key(player)])
                for player, odd in extrapolates.items()
            }
            moved, memory = inner.apply(gradients, start, memory, clock)
            anchors = {
                _key(player): choose(odd, start[player], moved[player])
                for player, odd in extrapolates.items()
            }
            return moved, memory | anchors

        def evaluated(joint: Joint, memory: Memory) -> Joint:
            return {player: memory[_key(player)] for player in joint}

        return Rule(init, apply, evaluated)


def _key(player: str) -> str:
    return f"{player}/extra-adam-anchor"
