"""The paragraph on methods that a paper needs: what was trained and how, in full, from the resolved suite."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganbench.judging.thresholds import Thresholds
from ganbench.report.content import NOTE, components
from ganbench.report.names import labels_of
from ganbench.results import Results
from ganbench.storage.atomic import plain
from ganbench.storage.records import ComponentEntry, OptionValue, VariantConfig
from ganbench.text import listed, plain_text, plural, setting, techniques_label

Table = Mapping[str, OptionValue]
_ALL = 1_000_000
"""Names in a list of which none may be left out."""
_BY: dict[str, Callable[[VariantConfig], str]] = {
    "dataset": lambda config: config["dataset"]["name"],
    "model": lambda config: config["model"]["name"],
    "loss": lambda config: config["loss"]["name"],
    "techniques": lambda config: techniques_label(entry["name"] for entry in config["techniques"]),
}
"""What may explain why variants differ in a setting, the most likely first."""


@dataclass(frozen=True)
class Described:
    """What the paragraph is about.

    Arguments:
        configs: by variant; an option that is swept has the text "swept over 0.1, 1" as its value.
        labels: short names of the variants.
    """

    configs: Mapping[str, VariantConfig]
    labels: Mapping[str, str]

    @classmethod
    def of(cls, results: Results) -> Described:
        """The variants of some results."""
        configs = copy.deepcopy(dict(results.configs))
        swept: dict[str, dict[str, float]] = {}
        for variant in results.lock.get("variants", ()):
            for path, value in (variant.get("swept") or {}).items():
                swept.setdefault(path, {})[variant["label"]] = value
        for path, values in swept.items():
            text = f"swept over {', '.join(setting(value) for value in dict.fromkeys(values.values()))}"
            for label in values.keys() & configs.keys():
                _replace(configs[label], path.split("."), text)
        # variants without a row have no short label yet
        return cls(configs, {label: plain_text(label) for label in configs} | labels_of(results))


def _replace(config: VariantConfig, path: Sequence[str], text: str) -> None:
    """Put a text in place of an option, by its path: ("r1", "gamma"), ("optimizer", "generator", "lr")."""
    owner, *spot = path
    if owner == "optimizer":
        tables: list[Any] = [config["optimizer"].get(spot.pop(0))]
    else:
        entries = (config["dataset"], config["model"], config["loss"], *config["techniques"])
        tables = [entry["options"] for entry in entries if entry["name"] == owner]
    for table in tables:
        *within, last = spot
        for step in within:
            table = table[int(step) if isinstance(table, list) else step]
        table[int(last) if isinstance(table, list) else last] = text


def protocol(results: Results) -> list[str]:
    """Sentences, a subject each: design, data, nets, optimisers, evaluation, verdicts, tests, versions."""
    if not results.configs:
        return ["Nothing is known of these runs: no resolved suite and no stack could be read."]
    told = Described.of(results)
    return [
        _design(results),
        *_parts(told),
        *_training(told),
        *_evaluation(results, told),
        _verdicts(results),
        _tests(results),
        _versions(results),
    ]


def _design(results: Results) -> str:
    variants = len(results.configs)
    seeds = sorted(results.lock.get("seeds") or results.runs["seed"].unique().tolist())
    total = len(results.lock.get("keys", ())) or len(results.runs)
    missing = f" {results.missing:,} of them have no result yet." if results.missing else ""
    return (
        f"Design: {plural(variants, 'variant')}, {plural(len(seeds), 'seed')} ({_numbers(seeds)}), "
        f"{plural(total, 'run')} in all.{missing}"
    )


def _numbers(seeds: Sequence[int]) -> str:
    """Such as "0 to 9", or "0, 1, 7" where they do not follow each other."""
    if not seeds:
        return "unknown"
    first, last = int(seeds[0]), int(seeds[-1])
    if len(seeds) > 2 and last - first == len(seeds) - 1:
        return f"{first} to {last}"
    return ", ".join(str(seed) for seed in seeds)


def _parts(told: Described) -> Iterator[str]:
    """Data sets, models, losses and techniques, each with its options."""
    for title, kind in (("Data", "dataset"), ("Networks", "model"), ("Losses", "loss")):
        entries = ((label, config[kind]) for label, config in told.configs.items())  # type: ignore[literal-required]
        yield f"{title}: {'; '.join(_with_options(entries, told))}."
    sets = dict.fromkeys(_BY["techniques"](config) for config in told.configs.values())
    combined = ", ".join("none" if name == "plain" else plain_text(name) for name in sets)
    entries = ((label, entry) for label, config in told.configs.items() for entry in config["techniques"])
    used = "; ".join(text for text in _with_options(entries, told) if "(" in text)
    yield f"Techniques: {combined}." + (f" Their options: {used}." if used else "")


def _with_options(entries: Iterable[tuple[str, ComponentEntry]], told: Described) -> Iterator[str]:
    """Each component once, with all its options. `entries`: of which variant each is."""
    grouped: dict[str, dict[str, Table]] = {}
    for label, entry in entries:
        grouped.setdefault(entry["name"], {})[label] = entry["options"]
    return (f"{plain_text(name)}{_options(tables, told)}" for name, tables in grouped.items())


def _options(tables: Mapping[str, Table], told: Described) -> str:
    """Such as " (gamma = 0.1, every = 4)"; an option that varies has each value with whose it is."""
    texts = []
    for option in dict.fromkeys(name for table in tables.values() for name in table):
        values = {label: _value(table[option]) for label, table in tables.items() if option in table}
        if any(values.values()):
            texts.append(f"{option} = {_shared(values, told, ' or ')}")
    return f" ({plain_text(', '.join(texts))})" if texts else ""


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if value is None or value == "":
        return ""
    return setting(value) if isinstance(value, float) else str(value)


def _training(told: Described) -> Iterator[str]:
    """Optimisers, steps, batch and precision."""
    texts: dict[str, Callable[[VariantConfig], str]] = {
        "Optimiser": _optimizers,
        "Training steps": lambda config: f"{config['steps']:,}",
        "Batch size": lambda config: str(config["batch"]),
        "Precision": lambda config: config["precision"] + (" with TF32" if config.get("tf32") else ""),
    }
    for title, text in texts.items():
        yield f"{title}: {_shared({label: text(config) for label, config in told.configs.items()}, told)}."


def _optimizers(config: VariantConfig) -> str:
    texts: dict[str, list[str]] = {}
    for player, table in config["optimizer"].items():
        options = ", ".join(f"{name} = {_value(value)}" for name, value in table.items() if name != "name")
        texts.setdefault(plain_text(f"{table['name']} ({options})"), []).append(player)
    if len(texts) == 1:
        return next(iter(texts))
    return ", ".join(f"{listed(players, _ALL)} by {text}" for text, players in texts.items())


def _shared(texts: Mapping[str, str], told: Described, between: str = "; ") -> str:
    """The text that all variants share, or each text with whose it is."""
    groups: dict[str, list[str]] = {}
    for label, text in texts.items():
        groups.setdefault(text, []).append(label)
    if len(groups) == 1:
        return next(iter(groups))
    named = next((found for level in _BY.values() if (found := _levels(groups, level, told))), None)
    named = named or {text: [told.labels[label] for label in of] for text, of in groups.items()}
    return between.join(f"{text} ({listed(names, _ALL)})" for text, names in named.items())


def _levels(
    groups: Mapping[str, Sequence[str]], level: Callable[[VariantConfig], str], told: Described
) -> dict[str, list[str]] | None:
    """Text -> the data sets (or models, …) that have it; None where one of these has several texts."""
    named = {
        text: list(dict.fromkeys(plain_text(level(told.configs[label])) for label in of))
        for text, of in groups.items()
    }
    every = [name for names in named.values() for name in names]
    return named if len(every) == len(set(every)) else None


def _evaluation(results: Results, told: Described) -> Iterator[str]:
    """When runs were measured and on how many samples; each metric with its options and extractor."""
    when = {
        label: f"every {config['evaluate']['every']:,} steps on {config['evaluate']['samples']:,} samples"
        for label, config in told.configs.items()
    }
    yield f"Evaluation: before the first step and {_shared(when, told)}."
    entries = [(label, e) for label, config in told.configs.items() for e in config["evaluate"]["metrics"]]
    if not entries:
        yield "Metrics: none."
        return
    yield f"Metrics: {'; '.join(_with_options(entries, told))}."
    if facts := _measured(results):
        yield f"Measured values: {'; '.join(f'{plain_text(name)} {fact}' for name, fact in facts.items())}."


def _measured(results: Results) -> dict[str, str]:
    """Value of a metric -> n, extractor and weights, as the rows recorded them."""
    rows = results.evaluations
    told = {}
    for metric, of in rows.groupby("metric", sort=False, observed=True):
        facts = [f"n = {_several(of['n'])}"]
        if "n_real" in of and of["n_real"].notna().any():
            facts.append(f"{_several(of['n_real'].dropna())} real samples")
        extractors = [str(name) for name in of["extractor"].dropna().unique() if name]
        if extractors:
            facts.append(f"features by {plain_text(listed(extractors, _ALL))}")
        weights = [str(name) for name in of["weights"].dropna().unique() if name != "raw"]
        if weights:
            facts.append(f"weights: {plain_text(listed(weights, _ALL))}")
        told[str(metric)] = f"({', '.join(facts)})"
    return told


def _several(counts: Any) -> str:
    return " or ".join(f"{int(count):,}" for count in sorted(counts.unique()))


def _verdicts(results: Results) -> str:
    """The thresholds in force: those that differ from the defaults, else that these hold."""
    used = results.lock.get("verdict") or {}
    defaults: dict[str, Any] = dict(plain(vars(Thresholds())))
    other = [f"{name} = {_value(value)}" for name, value in used.items() if value != defaults.get(name)]
    numbers = [
        f"{name} = {_value(value)}"
        for name, value in (defaults | dict(used)).items()
        if not isinstance(value, list) and f"{name} = {_value(value)}" not in other
    ]
    changed = f"Set for this suite: {', '.join(other)}. " if other else ""
    return plain_text(
        f"Verdicts: a run failed if it did not finish, by thresholds on its traces and evaluations. {changed}"
        f"Defaults: {', '.join(numbers)}."
    )


def _tests(results: Results) -> str:
    metrics = [name for name in dict.fromkeys(results.summary()["metric"]) if name]
    main = [f"{plain_text(name)} ({results.directions.get(name, 'lower')} is better)" for name in metrics]
    baseline = (results.lock.get("compare") or {}).get("baseline")
    against = f"with the baseline {_pattern(baseline)}" if baseline else "pair by pair"
    by = f" by {listed(main, _ALL)}" if main else ""
    return (
        f"Statistics: variants were compared {against}{by}, by exact two-sided Mann-Whitney tests in which "
        "failed runs rank worst, and their failure rates by Barnard's exact test; p-values are "
        f"Holm-corrected over all pairs. {' '.join(NOTE.split())}"
    )


def _pattern(baseline: Mapping[str, Any]) -> str:
    shown = (f"{name} = {techniques_label(v) if isinstance(v, list) else v}" for name, v in baseline.items())
    return plain_text(f"({', '.join(shown)})")


def _versions(results: Results) -> str:
    machines = "; ".join(_machine(environment) for environment in results.environments) or "not recorded"
    # components that do not come with ganbench
    foreign = sorted(text for text in components(results) if " ganbench " not in text)
    plugins = f" Plugins: {listed(foreign, _ALL)}." if foreign else ""
    return plain_text(f"Versions: {machines}.{plugins}")


def _machine(environment: Mapping[str, Any]) -> str:
    packages = environment.get("packages") or {}
    versions = {"ganbench": environment.get("ganbench"), "Python": environment.get("python"), **packages}
    known = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    device = environment.get("gpu") or environment.get("device") or "an unknown device"
    processor = environment.get("processor")
    return f"{known} on {device}" + (f" ({processor})" if processor else "")
