"""What every report says of results, as plain text: counts, cautions, settings, how to do it again."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ganbench._version import __version__
from ganbench.judging.collapse import COUNTS
from ganbench.judging.thresholds import Thresholds
from ganbench.report.names import labels_of
from ganbench.results import Results
from ganbench.storage.atomic import plain
from ganbench.text import listed, owner_shown, setting

NOTE = """\
A failure is whatever did not finish. Failure rates have Wilson intervals. Values are the interquartile mean
(IQM) over seeds, the median below 4 runs, with a 95% interval over the n runs: what the winsorised variance
(Tukey and McLaughlin 1963) and the percentile bootstrap hold together, the bootstrap alone for the median and
where over a quarter failed. It is wide at 5 runs. Failed runs are not left out: they rank worst, so ∞ or -∞
says that too many failed, and as an end of an interval that too many may fail."""


def counts(results: Results) -> str:
    """How many runs, variants and seeds."""
    runs = results.runs
    variants, seeds = runs["variant"].nunique(), runs["seed"].nunique()
    parts = f": {_count(variants, 'variant')}, {_count(seeds, 'different seed')}" if len(runs) else ""
    return f"{_count(len(runs), 'run')}{parts}. Written by ganbench {__version__}."


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def cautions(results: Results) -> Iterator[tuple[str, str]]:
    """What a reader must know before comparing, each as (what matters, the rest of the sentence)."""
    if results.missing:
        has, is_ = ("has", "is") if results.missing == 1 else ("have", "are")
        missing = f"{_count(results.missing, 'run')} of the suite {has} no result yet"
        yield missing, f"and {is_} not in these tables."
    labels = labels_of(results)
    for name in ("device", "executor", "mapper"):
        users = results.runs.dropna(subset=name).astype({name: str}).groupby(name)["variant"].unique()
        if len(users) > 1:
            told = "; ".join(f"{used}: {listed([labels[one] for one in own])}" for used, own in users.items())
            yield f"Mixed {name}s", f"({told}). Runs of different ones differ by rounding, then by chaos."


def unjudged(results: Results) -> str:
    """What is said where no metric was taken that shows a collapse; empty where it could be judged."""
    verdict = results.lock.get("verdict") or {}
    telling = [*COUNTS, *(verdict.get("coverage_metrics") or Thresholds().coverage_metrics)]
    taken = {label: {name.replace("_", "-") for name in names} for label, names in results.metrics.items()}
    blind = [label for label, names in taken.items() if names.isdisjoint(telling)]
    if not blind:
        return ""
    labels = labels_of(results)
    whose = "" if len(blind) == len(taken) else f" for {listed([labels[label] for label in blind])}"
    told = listed(telling, limit=len(telling))
    return f"Collapse could not be judged{whose}: none of {told} was measured."


def further_metrics(results: Results) -> list[str]:
    """Metrics that were measured beside the main one of a variant, in the suite's order."""
    main = results.summary().set_index("variant")["metric"]
    pairs = results.evaluations[["variant", "metric"]].drop_duplicates()
    beside = set(pairs.loc[pairs["metric"] != pairs["variant"].map(main), "metric"])
    return [name for name in dict.fromkeys(itertools.chain(*results.metrics.values())) if name in beside]


def notes(results: Results) -> Iterator[str]:
    """What stands below the table of a terminal."""
    if told := unjudged(results):
        yield told
    if further := further_metrics(results):
        yield f"Measured too (`ganbench report --metric NAME`): {listed(further, limit=12)}."


def settings(config: Mapping[str, Any]) -> Iterator[str]:
    """Steps, batch, optimizer, metrics of a resolved variant."""
    yield str(config.get("steps", ""))
    yield str(config.get("batch", ""))
    optimizers = config.get("optimizer") or {}
    told = {player: _optimizer(one) for player, one in optimizers.items() if isinstance(one, Mapping)}
    same = len(set(told.values())) == 1
    yield (
        next(iter(told.values())) if same else ", ".join(f"{player}: {text}" for player, text in told.items())
    )
    metrics = (config.get("evaluate") or {}).get("metrics", ())
    yield ", ".join(str(metric.get("name", "")) for metric in metrics)


def _optimizer(options: Mapping[str, Any]) -> str:
    """Its name, its learning rate, and what else is not as it is by default."""
    name = str(options.get("name", ""))
    usual = _defaults(name)
    told = {
        option: value
        for option, value in options.items()
        if option == "lr" or (option != "name" and plain(value) != plain(usual.get(option)))
    }
    return " ".join([name, *(f"{option}={_setting(value)}" for option, value in told.items())])


@cache
def _defaults(optimizer: str) -> dict[str, Any]:
    """Its options as they are by default; nothing of one that is not ours."""
    from ganbench.components.base import options_of
    from ganbench.components.optimizers import OPTIMIZERS

    return options_of(OPTIMIZERS[optimizer]()) if optimizer in OPTIMIZERS else {}


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_setting, value))}]"
    return setting(value) if isinstance(value, float) else str(value)


def leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """("a.b", text) of each leaf that is known."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from leaves(item, f"{prefix}{key}.")
        elif item is not None:
            yield f"{prefix}{key}", item if isinstance(item, str) else json.dumps(item)


def components(results: Results) -> list[str]:
    """Each component with the distribution and version that it came from."""
    texts = results.runs["versions"].dropna().unique()
    return sorted({f"{name} {version}" for text in texts for name, version in _versions(text)})


def suite_command(results: Results) -> str:
    """What trains the suite again where it has a name: its file is known only where the command is."""
    return f"ganbench run {shlex.quote(results.name)}"


def python_line(results: Results) -> str:
    """What loads the rows."""
    return f"ganbench.load({str(results.path)!r}).runs"


def seeds(results: Results) -> str:
    """The seeds of the runs, or else of the suite, listed; empty where none is known."""
    used = results.runs["seed"].unique().tolist() or results.lock.get("seeds") or []
    return ", ".join(str(seed) for seed in sorted(used))


def _versions(text: str) -> Iterator[tuple[str, str]]:
    """(component, distribution and version) from a run's column `versions`."""
    try:
        found = json.loads(text)
    except ValueError:
        return
    if isinstance(found, dict):
        yield from ((str(key), owner_shown(str(value))) for key, value in found.items())
