"""Which networks judge samples, and where a technique keeps what it knows of each judge."""

from __future__ import annotations

from collections.abc import Sequence

import ganbench


def network_of(judge: str, networks: Sequence[str]) -> str | None:
    """The network that gives a judge's logits: its only one, or the one that is named as the player."""
    if len(networks) == 1:
        return networks[0]
    return judge if judge in networks else None


def judge_networks(technique: ganbench.Technique) -> dict[str, str]:
    """Judge -> its network, where each has one: see `needs_one_network_each`."""
    chosen = ((judge, network_of(judge, networks)) for judge, networks in technique.judges.items())
    return {judge: network for judge, network in chosen if network is not None}


def is_judging(technique: ganbench.Technique, network: str) -> bool:
    """Whether a network belongs to a player that judges samples."""
    return any(network in networks for networks in technique.judges.values())


def state_of(technique: ganbench.Technique, judge: str) -> str:
    """Name of the network without parameters that keeps the technique's state for one judge."""
    # the name is part of checkpoints and of every record of buffers: one judge keeps the short one
    return technique.name if len(technique.judges) == 1 else f"{technique.name}-{judge}"
