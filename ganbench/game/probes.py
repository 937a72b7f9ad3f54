"""Diagnostics of every step: norms and losses of players, logits of judges, and what a suite asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from ganbench.game.nets import Layout

Column = tuple[str, str]
"""(player, probe)"""
Value = TypeVar("Value", bound=float | Tensor)
"""A probe: a number where a step may look, else a 0-d tensor."""


class Seen(NamedTuple, Generic[Value]):
    """What a step measured.

    Arguments:
        probes: one value a column.
        logits: player -> LOGITS, of those that judge. LOGIT_PROBES are made of them later, of many steps
            together: for small networks a call costs more than what it computes.
    """

    probes: dict[Column, Value]
    logits: dict[str, dict[str, Tensor]]


PLAYER_PROBES = ("loss", "grad_norm", "update_norm", "weight_norm")
"""Every player's. Norms are Euclidean, over all of its parameters."""
LOGITS = ("real_logits", "fake_logits")
LOGIT_PROBES = ("real_mean", "fake_mean", "real_accuracy", "fake_accuracy", "logit_gap")
"""Of a player that judges: mean logits, the fractions judged right (logit > 0, < 0), and real - fake."""


COSINE = "gradient_cosine"
"""Cosine of the angle between a player's gradient and its one before; negative where it oscillates."""


@dataclass(frozen=True)
class Extras:
    """Probes that a suite asks for: "cosine" costs a vector a player, "layers" a norm a parameter."""

    layout: Layout
    asked: frozenset[str] = frozenset()

    def names(self, player: str) -> tuple[str, ...]:
        """The extra probes of one player."""
        slots = self.layout.slots[player] if "layers" in self.asked else ()
        layers = [f"grad_norm/{slot.net}.{slot.name}" for slot in slots]
        return (*([COSINE] if "cosine" in self.asked else []), *layers)

    def memory(self, joint: dict[str, Tensor]) -> dict[str, Tensor]:
        """What they remember: each player's gradient before, if need be."""
        remembered = joint.items() if "cosine" in self.asked else ()
        return {_before(player): torch.zeros_like(flat) for player, flat in remembered}

    def measure(
        self, player: str, gradient: Tensor, memory: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The values of a player's move, in the order of `names`, and what to remember now."""
        if not self.asked:
            return {}, memory
        values = []
        if "cosine" in self.asked:
            before = memory[_before(player)]
            # A gradient of zero has no direction: its cosine is NaN.
            lengths = torch.linalg.vector_norm(gradient) * torch.linalg.vector_norm(before)
            # nan at the first step, which has none before it
            values.append(torch.dot(gradient, before) / torch.where(lengths > 0, lengths, torch.nan))
            memory = memory | {_before(player): gradient}
        if "layers" in self.asked:
            values += [torch.linalg.vector_norm(part) for part in self.layout.views(player, gradient)]
        return dict(zip(self.names(player), values, strict=True)), memory


def _before(player: str) -> str:
    return f"{player}/probe-gradient"


def logit_probes(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """LOGIT_PROBES from logits of any shape."""
    real_mean, fake_mean = real.mean(), fake.mean()
    values = (
        real_mean,
        fake_mean,
        # A mean of booleans needs a floating type.
        (real > 0).mean(dtype=real.dtype),
        (fake < 0).mean(dtype=fake.dtype),
        real_mean - fake_mean,
    )
    return dict(zip(LOGIT_PROBES, values, strict=True))


def observe(judges: Collection[str], player: str, out: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is kept of a player's out for its probes: LOGITS where it is a judge and has both."""
    # on the generator's turn they are the same judge's, and of an objective that is not its own
    judged = player in judges and all(name in out for name in LOGITS)
    return {name: out[name] for name in LOGITS} if judged else {}


def row(seen: Seen[Tensor], columns: Sequence[Column]) -> Tensor:
    """The probes of one step in the order of `columns`, nan where it has none."""
    values = dict(seen.probes)
    for player, logits in seen.logits.items():
        judged = logit_probes(*(logits[name] for name in LOGITS))
        values |= {(player, name): value for name, value in judged.items()}
    first = next(iter(values.values()))
    probes = first.new_full((len(columns),), torch.nan)
    places = torch.arange(len(columns), device=first.device)
    for place, column in enumerate(columns):
        if column in values:  # chosen, not stacked: compiled, a stack costs a call for each of its parts
            probes = torch.where(places == place, values[column], probes)
    return probes


def rows(steps: Sequence[Seen[Value]], columns: Sequence[Column], dtype: torch.dtype) -> Tensor:
    """Steps x columns, of steps that all measured the same. Together, for calls cost more than computing."""
    first = steps[0]
    probes = {column: _stacked([seen.probes[column] for seen in steps], dtype) for column in first.probes}
    logits = {
        player: {name: torch.stack([seen.logits[player][name] for seen in steps]) for name in LOGITS}
        for player in first.logits
    }
    return torch.vmap(partial(row, columns=columns))(Seen(probes, logits))


def _stacked(values: Sequence[float | Tensor], dtype: torch.dtype) -> Tensor:
    tensors = [value for value in values if isinstance(value, Tensor)]
    return torch.stack(tensors) if tensors else torch.tensor(values, dtype=dtype)


def columns(players: Iterable[str], judges: Collection[str], extras: Extras) -> list[Column]:
    """All columns of a game's probes, in a fixed order."""
    names: list[Column] = []
    for player in players:
        logits = LOGIT_PROBES if player in judges else ()
        names += [(player, probe) for probe in (*PLAYER_PROBES, *logits, *extras.names(player))]
    return names
