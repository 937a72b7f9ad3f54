"""Which games a technique is made for."""

from __future__ import annotations

import ganbench
from ganbench_builtin.techniques._judges import network_of


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


def needs_judges(technique: ganbench.Technique, model: ganbench.Model) -> str | None:
    """None where some player judges samples, else a sentence."""
    if model.judges():
        return None
    return f"{technique.name} acts on the discriminator, and {model.name} has none"


def needs_one_network_each(technique: ganbench.Technique, model: ganbench.Model) -> str | None:
    """None where there are judges, each with one network that the technique can call; else a sentence."""
    for judge in model.judges():
        networks = model.players()[judge]
        if network_of(judge, networks) is None:
            several = f"{model.name} has {', '.join(networks)}"
            return f"{technique.name} acts on one network of the {judge!r}, and {several}"
    return needs_judges(technique, model)
