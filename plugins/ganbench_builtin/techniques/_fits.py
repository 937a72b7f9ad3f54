"""Which games a technique is made for."""

from __future__ import annotations

import ganbench


def needs_players(technique: ganbench.Technique, model: ganbench.Model, *players: str) -> str | None:
    """None where the model has the players, else a sentence."""
    missing = [player for player in players if player not in model.players()]
    if not missing:
        return None
    return f"{technique.name} acts on the {missing[0]}, and {model.name} has none"


def needs_network(technique: ganbench.Technique, model: ganbench.Model, network: str) -> str | None:
    """None where the model has a network of that very name, which the technique calls; else a sentence."""
    owned = [name for names in model.players().values() for name in names]
    if network in owned:
        return None
    return f"{technique.name} acts on one network {network!r}, and {model.name} has {', '.join(owned)}"


def is_discriminator(network: str) -> bool:
    """Whether a network judges samples: "discriminator", or one of several, as "discriminator_source"."""
    return network == "discriminator" or network.startswith("discriminator_")
