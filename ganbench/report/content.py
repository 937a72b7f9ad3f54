"""What every report says about results, as plain text: counts, cautions, settings, reproduction."""

from __future__ import annotations

import itertools
import json
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cache
from typing import Any

import pandas as pd

from ganbench._version import __version__
from ganbench.judging.collapse import COUNTS
from ganbench.judging.thresholds import Thresholds
from ganbench.report.names import labels_of
from ganbench.results import Results
from ganbench.storage.atomic import plain
from ganbench.storage.owners import owner_text
from ganbench.storage.records import VariantConfig
from ganbench.text import listed, not_as_planned, plural, setting

NOTE = """\
A failure is any run that did not finish. Failure rates have Wilson intervals at 95%. Values are medians of
the n runs that finished, between two of their values that hold the true median at 95% (Thompson 1936), or
less at few runs: the range of 5 runs holds it at 93.75%, of 4 at 87.5%, of 3 at 75%. Tests, ranks and
P(better) count failed runs as worst."""


def counts(results: Results) -> str:
    """A sentence with the numbers of runs, variants and seeds."""
    runs = results.runs
    variants, seeds = runs["variant"].nunique(), runs["seed"].nunique()
    parts = f": {plural(variants, 'variant')}, {plural(seeds, 'different seed')}" if len(runs) else ""
    return f"{plural(len(runs), 'run')}{parts}. Written by ganbench {__version__}."


def cautions(results: Results) -> Iterator[tuple[str, str]]:
    """Warnings to read before comparing, each as (what matters, the rest of the sentence)."""
    if results.missing:
        has, is_ = ("has", "is") if results.missing == 1 else ("have", "are")
        missing = f"{plural(results.missing, 'run')} of the suite {has} no result yet"
        yield missing, f"and {is_} not in these tables."
    labels = labels_of(results)
    for name in ("device", "executor"):
        used = results.runs.dropna(subset=name).astype({name: str})
        mixed = [
            rows for _, rows in used.groupby("dataset", sort=False, observed=True) if rows[name].nunique() > 1
        ]
        if mixed:  # only runs on the same data are compared
            users = pd.concat(mixed).groupby(name)["variant"].unique()
            groups = "; ".join(
                f"{way}: {listed([labels[variant] for variant in variants])}"
                for way, variants in users.items()
            )
            yield (
                f"Mixed {name}s",
                f"({groups}). Runs from different {name}s start out equal up to rounding and then diverge: "
                "do not compare them run by run.",
            )


def ways(results: Results) -> dict[str, str]:
    """Variant -> how its runs were trained: their executors, "loop" for run by run."""
    trained = results.runs.dropna(subset="executor").astype({"executor": str})
    used = trained.groupby("variant", sort=False, observed=True)["executor"].unique()
    return {str(variant): ", ".join(names) for variant, names in used.items()}


def fallbacks(results: Results) -> Iterator[str]:
    """A sentence for each reason why runs were not trained as planned, with their variants."""
    labels = labels_of(results)
    other = results.runs[results.runs["executor_reason"].ne("")]
    columns = ["executor", "planned_executor", "executor_reason"]
    for way, rows in other.groupby(columns, sort=False, observed=True):
        executor, planned, reason = map(str, way)
        variants = listed([labels[variant] for variant in rows["variant"].unique()])
        who = f"{plural(len(rows), 'run')} ({variants}) {'was' if len(rows) == 1 else 'were'}"
        yield not_as_planned(who, executor, planned, reason)


def unjudged(results: Results) -> str:
    """What could not be judged of which variants, and why; empty if all could."""
    verdict = results.lock.get("verdict") or {}
    # a lock that states no thresholds means the defaults
    defaults = Thresholds()
    revealing = [*COUNTS, *(verdict.get("coverage_metrics") or defaults.coverage_metrics)]
    descriptive = verdict.get("descriptive_metrics") or defaults.descriptive_metrics
    least = int(verdict.get("stagnant_evaluations") or defaults.stagnant_evaluations)
    # of quality: learning makes these better
    quality = _spelt(results.directions) - _spelt(descriptive)
    few = {label for label, config in results.configs.items() if _evaluations(config) < least}
    # without a lock nobody knows which metrics have a direction
    blind = _without(results, quality) if "directions" in results.lock else set()
    needed = f"none of {listed(revealing, len(revealing))} was measured"
    sentences = (
        _unjudged(results, "Collapse", _without(results, _spelt(revealing)), needed),
        _unjudged(results, "Learning", blind, "no metric of quality with a direction was measured"),
        _unjudged(results, "Learning", few - blind, f"fewer than {least} evaluations after step 0"),
    )
    return " ".join(filter(None, sentences))


def _spelt(names: Iterable[str]) -> set[str]:
    """As thresholds spell them: plugins may have "_" where these have "-"."""
    return {name.replace("_", "-") for name in names}


def _without(results: Results, revealing: Set[str]) -> set[str]:
    """The variants that take none of these metrics."""
    return {label for label, names in results.metrics.items() if _spelt(names).isdisjoint(revealing)}


def _evaluations(config: VariantConfig) -> float:
    """How often a variant is evaluated after step 0; inf where its configuration does not say."""
    every = (config.get("evaluate") or {}).get("every")
    return -(-config["steps"] // every) if every and config.get("steps") else math.inf


def _unjudged(results: Results, what: str, blind: Set[str], why: str) -> str:
    if not blind:
        return ""
    labels = labels_of(results)
    named = [labels.get(label, label) for label in results.metrics if label in blind]
    whose = "" if len(named) == len(results.metrics) else f" for {listed(named)}"
    return f"{what} could not be judged{whose}: {why}."


def further_metrics(results: Results) -> list[str]:
    """Metrics measured in addition to the main one of a variant, in the suite's order."""
    main = results.summary().set_index("variant")["metric"]
    pairs = results.evaluations[["variant", "metric"]].drop_duplicates()
    others = set(pairs.loc[pairs["metric"] != pairs["variant"].map(main), "metric"])
    return [name for name in dict.fromkeys(itertools.chain(*results.metrics.values())) if name in others]


def notes(results: Results) -> Iterator[str]:
    """Notes below the table on a terminal."""
    if caution := unjudged(results):
        yield caution
    yield from fallbacks(results)
    if further := further_metrics(results):
        yield f"Also measured (show with `ganbench report --metric NAME`): {listed(further, limit=12)}."


def settings(config: Mapping[str, Any]) -> Iterator[str]:
    """Steps, batch, optimizer and metrics of a resolved variant, as text."""
    # in the order of the columns of the tables that show them
    yield str(config.get("steps", ""))
    yield str(config.get("batch", ""))
    optimizers = config.get("optimizer") or {}
    texts = {
        player: _optimizer(options) for player, options in optimizers.items() if isinstance(options, Mapping)
    }
    # players mostly share their settings: one text is enough then
    if len(set(texts.values())) == 1:
        yield next(iter(texts.values()))
    else:
        yield ", ".join(f"{player}: {text}" for player, text in texts.items())
    metrics = (config.get("evaluate") or {}).get("metrics", ())
    yield ", ".join(str(metric.get("name", "")) for metric in metrics)


def _optimizer(options: Mapping[str, object]) -> str:
    """Its name, its learning rate, and every other option that differs from its default."""
    name = str(options.get("name", ""))
    defaults = _defaults(name)
    noted = {
        option: value
        for option, value in options.items()
        # the learning rate is what readers compare first, so it appears even at its default
        # `plain` on both sides: a lock read from JSON has lists where the defaults have tuples
        if option == "lr" or (option != "name" and plain(value) != plain(defaults.get(option)))
    }
    return " ".join([name, *(f"{option}={_setting(value)}" for option, value in noted.items())])


@cache
def _defaults(optimizer: str) -> dict[str, object]:
    """The default options of a built-in optimizer; empty for any other."""
    # imported late, because it takes 0.1 s and only settings need it
    from ganbench.components.base import options_of
    from ganbench.components.optimizers import OPTIMIZERS

    return options_of(OPTIMIZERS[optimizer]()) if optimizer in OPTIMIZERS else {}


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_setting, value))}]"
    return setting(value) if isinstance(value, float) else str(value)


def leaves(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """("a.b", text) of each leaf that is not None."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from leaves(item, f"{prefix}{key}.")
        elif item is not None:
            yield f"{prefix}{key}", item if isinstance(item, str) else json.dumps(item)


def components(results: Results) -> list[str]:
    """Each component with the distribution and version that provided it."""
    texts = results.runs["versions"].dropna().unique()
    return sorted({f"{name} {owner}" for text in texts for name, owner in _owners(text).items()})


def suite_command(results: Results) -> str:
    """The command that trains the suite again by name, for folders that did not record their command."""
    return f"ganbench run {shlex.quote(results.name)}"


def python_line(results: Results) -> str:
    """The Python expression that loads the rows."""
    return f"ganbench.load({str(results.path)!r}).runs"


def seeds(results: Results) -> str:
    """The seeds of the runs, or else of the suite; empty if neither is known."""
    # before any run has ended only the suite knows its seeds
    used = results.runs["seed"].unique().tolist() or results.lock.get("seeds") or []
    return ", ".join(str(seed) for seed in sorted(used))


def _owners(text: str) -> dict[str, str]:
    """Component -> distribution and version, from a run's column `versions`; empty where that is damaged."""
    try:
        return {component: owner_text(owner) for component, owner in dict(json.loads(text)).items()}
    except (TypeError, ValueError):
        return {}
