"""Which games a technique is made for."""

from __future__ import annotations

import ganbench


def needs_players(technique: ganbench.Technique, model: ganbench.Model, *players: str) -> str | None:
    """None where the model has the players, else a sentence."""
    missing = [player for player in players if player not in model.players()]
    if not missing:
        return None
    return f"{technique.name} acts on the {missing[0]}, and {model.name} has none"
