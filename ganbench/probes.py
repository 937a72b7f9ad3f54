"""Always-on diagnostics of every step: norms and losses of each player, logits of discriminators."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

Column = tuple[str, str]
"""(player, probe)"""

PLAYER_PROBES = ("loss", "grad_norm", "update_norm", "weight_norm")
"""Every player's. Norms are Euclidean, over all of its parameters."""
LOGIT_PROBES = ("real_mean", "fake_mean", "real_accuracy", "fake_accuracy", "logit_gap")
"""Of a player that judges: mean logits, the fractions judged right (logit > 0, < 0), and real - fake."""


def logit_probes(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """LOGIT_PROBES from logits of any shape."""
    real_mean, fake_mean = real.mean(), fake.mean()
    values = (
        real_mean,
        fake_mean,
        (real > 0).mean(dtype=real.dtype),
        (fake < 0).mean(dtype=fake.dtype),
        real_mean - fake_mean,
    )
    return dict(zip(LOGIT_PROBES, values, strict=True))


def observe(player: str, out: dict[str, Tensor]) -> dict[str, Tensor]:
    """The probes of one player's out: logits where it has both, and only for who judges them."""
    if player != "discriminator" or not {"real_logits", "fake_logits"} <= out.keys():
        return {}
    with torch.no_grad():
        return logit_probes(out["real_logits"], out["fake_logits"])


def columns(players: Iterable[str]) -> list[Column]:
    """All columns of a game's probes, in a fixed order."""
    return [
        (player, probe)
        for player in players
        for probe in PLAYER_PROBES + (LOGIT_PROBES if player == "discriminator" else ())
    ]
