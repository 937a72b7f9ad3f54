"""The game at one run's point, as metrics see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from ganbench.game import Batch, Flow, Joint, Out
    from ganbench.game.nets import Layout, Named, Nets


class GameView(Protocol):
    """One run's game at one step. Everything is a pure function of a joint point, differentiable in it.

    The objectives are those that are trained, penalties included; field and rule are the plain ones. A batch
    is drawn from streams of the view's own, so that looking disturbs nothing.

    Arguments:
        joint: player -> its parameters, one vector.
        layout: how parameters lie in these vectors.
    """

    joint: Joint
    layout: Layout

    @property
    def judges(self) -> tuple[str, ...]:
        """The players that tell real from generated samples."""

    @property
    def players(self) -> tuple[str, ...]:
        """The names of all players."""

    def double(self) -> GameView:
        """The same game in double precision: its point, its buffers and its batches."""

    def initial(self) -> Joint:
        """The parameters at which the run began."""

    def batch(self, part: str = "train", index: int = 0) -> dict[str, Tensor]:
        """A batch of the program's size from "train" or "test"; the same for the same part and index."""

    def sample_batch(self, n: int) -> dict[str, Tensor]:
        """What n samples are made of: draws, and held-out rows; always the same."""

    def flow(self, joint: Joint, batch: Batch) -> Flow:
        """Losses, gradients and probes of all players at `joint`."""

    def gradients(self, joint: Joint, batch: Batch) -> Joint:
        """Each player's gradient of its own objective."""

    def losses(self, joint: Joint, batch: Batch) -> dict[str, Tensor]:
        """The value of each player's objective."""

    def loss(self, player: str, joint: Joint, batch: Batch) -> Tensor:
        """One player's objective, as on its turn; no gradient is taken."""

    def play(self, player: str, joint: Joint, batch: Batch) -> Out:
        """What one player's objective is made of: logits, …, as the techniques have them."""

    def sample(self, joint: Joint, batch: Batch) -> Tensor:
        """Samples made of what `sample_batch` gives, networks as when samples are drawn."""

    def parameters(self, joint: Joint) -> Named:
        """Network -> name -> parameter."""

    def nets(self, joint: Joint) -> Nets:
        """The networks at `joint`, as they are when samples are drawn."""
