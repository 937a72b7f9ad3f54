"""All results of a suite, or of several: tidy frames, and methods that answer questions about them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd

from ganbench.errors import BadInput, nearest
from ganbench.judging.outcomes import Outcome
from ganbench.results import comparison, notebook, pairing, profiles, ranking, survival, sweeps, tracing
from ganbench.results.main_metrics import main_metrics
from ganbench.results.merging import ComparedVariant
from ganbench.results.stored import NO_EVALUATIONS, NO_TRACES, Stored, name_of
from ganbench.results.summary import summarise, times_to
from ganbench.results.values import averaged, metric_columns
from ganbench.storage.records import CompareConfig, SuiteLock, VariantConfig
from ganbench.storage.stack_folder import StackFolder


@dataclass(eq=False)
class Results:
    """All results of one suite, or of several that were loaded together.

    Arguments:
        path: the suite's folder, or the first that was given.
        lock: the resolved suite, empty where there is none. Only the runs that it names are shown.
        folders: its stacks.
        notes: warnings from loading.
        paths: the suites' folders, where there are several.
        metric: the main one, instead of the suite's (see `by`).
    """

    path: Path
    lock: SuiteLock
    folders: Sequence[StackFolder] = field(repr=False)
    notes: Sequence[str] = field(default=(), repr=False)
    paths: Sequence[Path] = field(default=(), repr=False)
    metric: str | None = field(default=None, repr=False)

    def by(self, metric: str) -> Results:
        """The same results with another main metric, used wherever a call names none.

        Raises BadInput if no variant takes it.
        """
        self._main_metrics(metric)
        # A shallow copy shares the frames that were built; of these only summaries depend on the metric.
        other = copy.copy(self)
        other.metric = metric
        vars(other).pop("_summaries", None)
        return other

    @property
    def name(self) -> str:
        """The suite's name; of several, their names."""
        return str(self.lock.get("suite") or self.path.resolve().name)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run, in the suite's order of variants, then by seed.

        suite, variant, model, loss, techniques, dataset, seed, outcome, onset_step, reason, evidence_first
        and evidence_last (the steps over which it held), remark (an observation that is no failure); seen_by
        ("trace", "evaluation" or "clock": what showed the failure), player and probe (whose trace, and its
        column or the metric), behaviour (the remark's facts, such as "oscillating"); steps, swept options,
        seconds (of training), evaluation_seconds, device, stack_size, versions, …; of each metric
        final_<metric> (at the last evaluation, of the averaged weights where there are some) and
        best_<metric>. Failed runs keep the values that they had. `measured` is False where a run has no
        evaluation that can be read: if it finished, it is left out of all statistics of values.
        """
        frame = self._stored.runs.drop(columns="_folder")
        rank = {label: index for index, label in enumerate(self.configs)}
        # Labels without a configuration come last.
        frame["_rank"] = frame["variant"].map(rank).fillna(len(rank))
        frame = frame.sort_values(["_rank", "variant", "seed"], kind="stable", ignore_index=True)
        frame["measured"] = frame["key"].isin(self.evaluations["key"])
        values = metric_columns(self.evaluations, self.directions)
        return frame.drop(columns="_rank").merge(values, how="left", left_on="key", right_index=True)

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """One row a (run, step, metric): key, variant, seed, step, metric, value, n, extractor, weights, …

        n samples were drawn and compared with n_real real ones, by `dimensions` features of the extractor,
        whose weights have that digest. Folders of earlier versions have no values for the last three.
        """
        table = self._stored.concat(folder.table("evals.parquet") for folder in self.folders)
        frame: pd.DataFrame = (NO_EVALUATIONS if table is None else table).to_pandas()
        for name in NO_EVALUATIONS.column_names:
            if name not in frame:  # every folder is of an earlier version
                frame[name] = None
        # Int64, unlike int64, can hold the missing values of earlier versions.
        frame = frame.astype({"key": str, "variant": str, "n_real": "Int64", "dimensions": "Int64"})
        return frame.sort_values(["variant", "seed", "step"], kind="stable", ignore_index=True)

    @cached_property
    def traces(self) -> pd.DataFrame:
        """One row a (run, step, player): key, variant, seed, step, player, loss, grad_norm, …

        update_ratio is update_norm / weight_norm. 5,000 steps of 100 two-player runs are a million rows,
        about 50 MB: `curves` thins them stack by stack.
        """
        table = self._stored.concat(folder.traces_table() for folder in self.folders)
        frame: pd.DataFrame = tracing.with_ratio(NO_TRACES if table is None else table).to_pandas()
        return frame

    @cached_property
    def sheets(self) -> pd.DataFrame:
        """One row a sample sheet: key, variant, seed, step, path of a PNG."""
        return pd.DataFrame(self._stored.sheets(), columns=["key", "variant", "seed", "step", "path"])

    @cached_property
    def real_sheets(self) -> dict[str, Path]:
        """Variant -> a PNG of real samples, where one was written."""
        return dict(self._stored.real_sheets())

    @property
    def configs(self) -> dict[str, VariantConfig]:
        """Variant label -> its resolved configuration, in the suite's order."""
        return self._stored.configs

    @property
    def directions(self) -> Mapping[str, str]:
        """Metric -> "higher" or "lower" (is better). One that is not named counts as lower."""
        named: Mapping[str, str] = self.lock.get("directions") or {}
        return named

    @property
    def missing(self) -> int:
        """How many of the suite's runs have no row yet: they wait or are in training."""
        return len(set(self.lock.get("keys", ())) - set(self.runs["key"]))

    @cached_property
    def metrics(self) -> dict[str, list[str]]:
        """Variant -> the metrics that it takes, or that were measured, values of one metric included."""
        pairs = self.evaluations[["variant", "metric"]].drop_duplicates()
        measured = {str(v): list(rows) for v, rows in pairs.groupby("variant", sort=False)["metric"]}
        return {
            # Configured metrics come first; a metric may measure several values under names of their own.
            v: list(dict.fromkeys(_metric_names(self.configs.get(v, {})) + measured.get(v, [])))
            for v in self._labels
        }

    @cached_property
    def environments(self) -> list[dict[str, Any]]:
        """The distinct environments that the shown runs were trained in."""
        used = set(self._stored.homes.values())
        envs = (folder.env() for index, folder in enumerate(self.folders) if index in used)
        # A dict cannot be hashed: its JSON stands for it.
        return list({json.dumps(env, sort_keys=True): env for env in envs if env}.values())

    @property
    def warnings(self) -> list[str]:
        """A sentence for each file that could not be read so far, and for copies of a run that differ."""
        unreadable = (text for folder in self.folders for text in folder.warnings)
        return list(
            dict.fromkeys([*self.notes, *self._stored.cautions, *self._stored.conflicts, *unreadable])
        )

    def summary(self, metric: str | None = None) -> pd.DataFrame:
        """One row a variant: how often it failed, and its final and best values over seeds.

        Arguments:
            metric: which to show. Default: the suite's metric of comparison in variants that take it,
                in the others the first that they take.

        Columns: `summary.COLUMNS`. A failure is any run that did not finish. Rates have Wilson intervals
        at 95%. Values are medians of the n runs that finished, with `stats.median_interval` at `level`.
        `ranked` is the final median in which failed runs count as worst: for an order of variants.
        """
        if metric not in self._summaries:
            self._summaries[metric] = summarise(self.runs, self._main_metrics(metric), self.directions)
        # A copy, because callers may write into what they get.
        return self._summaries[metric].copy()

    @cached_property
    def _summaries(self) -> dict[str | None, pd.DataFrame]:
        """Cache of `summary` by metric: a report asks for it many times."""
        return {}

    def compare(
        self, metric: str | None = None, baseline: pairing.Baseline | None = None, alpha: float = 0.05
    ) -> pd.DataFrame:
        """Which variant is better, pair by pair: exact Mann-Whitney tests, Holm-corrected over all pairs.

        Arguments:
            metric: whose final values are compared. Default: as in `summary`; both of a pair share it.
            baseline: the label of a variant, or properties of baselines, such as {"loss": "hinge",
                "techniques": []}; each variant is compared with the most similar ones. Default: the suite's.
                "all", or a suite without one: all pairs, of at most 30 variants.
            alpha: the family-wise error rate of `significant` and `reachable`.

        Columns: variant, other, metric, direction, n, n_other, estimate, estimate_other (as `final` in
        `summary`), effect (the probability that a run of `variant` is better than one of `other`, ties half),
        effect_low, effect_high (95%), p, p_holm, significant, least_p (the smallest p that this many runs
        can give), reachable (whether that is small enough), failures, failures_other, p_failures,
        p_failures_holm (Barnard's exact test of the failure rates; corrected among themselves), finding.
        Failed runs count as worst and tie with each other. Variants are compared on the same data only. Until
        every run of the suite has a result nothing is called significant: a test repeated until it succeeds
        proves nothing.

        Raises BadInput for unknown names, and if evaluations cannot be compared: the message says why.
        """
        comparison.check_alpha(alpha)
        metrics = self._main_metrics(metric)
        pairs = self._pairs(metrics, baseline)
        pairing.check_comparable(pairs, metrics, self.evaluations, self.configs)
        return comparison.compared(self.runs, pairs, metrics, self.directions, alpha, self.missing)

    def survival(self, metric: str | None = None, threshold: float | None = None) -> pd.DataFrame:
        """The share of runs that has not failed, over steps, a curve a variant (Kaplan and Meier 1958).

        With a metric and a threshold, the share that has not reached it: failed runs are censored at the full
        budget.

        Columns: variant, step, at_risk, events, survival, low, high (95%), n.
        """
        return survival.curves(self._times(metric, threshold))

    def survival_tests(
        self,
        metric: str | None = None,
        threshold: float | None = None,
        baseline: pairing.Baseline | None = None,
    ) -> pd.DataFrame:
        """Mean and median time to failure (or to a threshold), against the baseline by log-rank tests.

        Columns: variant, n, events, rmst (the mean time up to the smallest budget), rmst_low, rmst_high,
        median (NaN if fewer than half of the runs get there), p (NaN without baseline, and for baselines),
        p_holm. Intervals are 95%.
        """
        pairs = self._baselines(baseline)
        # Reversed, so that of several baselines of a variant the first one counts.
        return survival.tests(self._times(metric, threshold), dict(reversed(pairs)))

    def profile(self, metric: str | None = None) -> pd.DataFrame:
        """The share of runs at least as good as each threshold, a curve a variant (Agarwal et al. 2021).

        Thresholds are all final values on the same data by the same metric. Failed runs reach none.

        Columns: variant, dataset, metric, direction, threshold, share, low, high (Wilson, 95% at each
        threshold), n.
        """
        return profiles.profiles(self.runs, self._main_metrics(metric), self.directions)

    def failures(self) -> pd.DataFrame:
        """One row a failed run: key, variant, seed, outcome, onset_step, budget, reason, evidence_first, …"""
        columns = ["key", "variant", "seed", "outcome", "onset_step", "budget", "reason"]
        failed = self.runs[self.runs["outcome"] != Outcome.FINISHED]
        return failed[[*columns, "evidence_first", "evidence_last", "remark"]].reset_index(drop=True)

    def rank(self, metric: str | None = None) -> pd.DataFrame:
        """Variants from the best to the worst, by the mean rank of their runs among all on the same data.

        Columns: rank, variant, failure_rate, failure_low, failure_high, estimate, estimate_low,
        estimate_high (as `final` in `summary`), mean_rank (1 is best; failed runs share the last ranks), n,
        metric, dataset. Ranks begin anew for each data set and metric.
        """
        metrics = self._main_metrics(metric)
        return ranking.ranked(self.runs, summarise(self.runs, metrics, self.directions))

    def leaderboard(self, metric: str | None = None, by_model: bool = False) -> ranking.Leaderboard:
        """Variants over all data sets; see `ganbench.results.ranking.leaderboard`."""
        summary = summarise(self.runs, self._main_metrics(metric), self.directions)
        return ranking.leaderboard(self.runs, summary, by_model)

    def stability_map(self, x: str, y: str | None = None) -> pd.DataFrame:
        """The share of runs that finished, over one or two swept options.

        Arguments:
            x, y: columns of `runs` such as "r1.gamma". Runs without a value are left out.

        Columns: x, y (NaN without one), runs, stable, share, low, high (Wilson, 95%), estimate (as `final` in
        `summary`, NaN where metrics differ).
        """
        return sweeps.stability_map(self.runs, self._swept, x, y, self._main_metrics(None), self.directions)

    def sensitivity(self) -> pd.DataFrame:
        """How much of the swept volume trains stably, and the effect of each swept option.

        Columns: option, values (how many), runs (that have it), stable, share (of the swept volume that is
        stable, each variant counting the same), low, high (95%), worst and best (values of the option) with
        worst_share and best_share (of stable runs there), importance (the share of the variance between
        variants in stability that the option alone explains), importance_of_rank (the same of ranks by
        the metric; NaN where variants differ in it).
        """
        return sweeps.sensitivity(self.runs, self._swept, self._main_metrics(None), self.directions)

    def curves(self, columns: Sequence[str] = ("grad_norm",), points: int = 100) -> pd.DataFrame:
        """Traces thinned to at most `points` steps a run, the first and last among them, read stack by stack.

        Columns: key, variant, seed, step, player, and those asked for.
        """
        return tracing.curves(self._stored, self.folders, columns, points)

    def time_to(self, metric: str, threshold: float) -> pd.DataFrame:
        """One row a run: when the metric first reached the threshold.

        Columns: key, variant, seed, outcome, reached, step, seconds. A run that failed, even later, or never
        got there is censored at its full budget: `reached` is False, and `step` and `seconds` are those of
        the budget. Steps are those of evaluations. `seconds` is the run's share of its stack's training
        time, NaN for a run without a result. `scipy.stats.CensoredData.right_censored(step, ~reached)` makes
        survival curves of them.
        """
        measured = self.evaluations["metric"].unique()
        if metric not in measured:
            raise BadInput(f"no run measured {metric!r}; {nearest(metric, map(str, measured))}")
        direction = self.directions.get(metric, "lower")
        return times_to(self.runs, averaged(self.evaluations), metric, threshold, direction)

    def plot(self, name: str, **options: Any) -> Any:
        """A figure of the report as an altair chart, such as plot("failure-rates").

        Raises BadInput for unknown names.
        """
        from ganbench.report.figures import figure  # charts take half a second to import

        return figure(self, name, **options).chart

    def _times(self, metric: str | None, threshold: float | None) -> pd.DataFrame:
        if metric is None and threshold is None:
            return survival.to_failure(self.runs)
        if metric is None or threshold is None:
            raise BadInput("give a metric and a threshold, or neither for the time to failure")
        taking = {label for label, taken in self.metrics.items() if metric in taken}
        times = self.time_to(metric, threshold)
        times = times[times["variant"].isin(taking)].merge(self.runs[["key", "budget"]], on="key")
        return times.rename(columns={"step": "time", "reached": "event"})

    def _pairs(self, metrics: Mapping[str, str], baseline: pairing.Baseline | None) -> list[pairing.Pair]:
        """Pairs of variants on the same data by the same metric."""
        taking = [label for label in self._labels if label in metrics]
        groups = {label: (pairing.data_of(self.configs, label), metrics[label]) for label in taking}
        if baseline == pairing.ALL:
            return pairing.all_pairs(groups)
        chosen = self._baselines(baseline)
        pairs = [(a, b) for a, b in chosen if a in groups and b in groups and groups[a] == groups[b]]
        # Only a baseline that the caller named is an error; the suite's may not be among the runs at hand.
        if baseline is not None and not pairs:
            raise BadInput(pairing.nothing_to_compare(chosen, groups))
        return pairs or pairing.all_pairs(groups)

    def _baselines(self, baseline: pairing.Baseline | None) -> list[pairing.Pair]:
        """(variant, a baseline of it), by the argument or else by each variant's own suite."""
        if baseline is not None:
            return pairing.against(
                self._labels, self.configs, dict.fromkeys(self._labels, baseline), strict=True
            )
        each = {label: self._comparison_of(label).get("baseline") for label in self._labels}
        return pairing.against(self._labels, self.configs, each, strict=False)

    def _comparison_of(self, label: str) -> CompareConfig:
        """The table [compare] of the variant's suite."""
        # In a merged suite each variant keeps the comparison of its own suite.
        return self._comparisons.get(label) or self.lock.get("compare") or {"metric": None, "baseline": None}

    @cached_property
    def _comparisons(self) -> dict[str, CompareConfig]:
        """Variant label -> its own suite's [compare]; empty unless several folders were merged."""
        entries = cast("Sequence[ComparedVariant]", self.lock.get("variants", ()))
        return {str(entry["label"]): own for entry in entries if (own := entry.get("compare"))}

    def _main_metrics(self, asked: str | None) -> dict[str, str]:
        """Variant -> the metric to show, without variants that do not take it."""
        taken = self.evaluations[["variant", "metric"]].drop_duplicates().itertuples(index=False, name=None)
        own = {variant: self._comparison_of(variant).get("metric") for variant in self.metrics}
        return main_metrics(self.metrics, set(taken), own, asked or self.metric)

    @property
    def _labels(self) -> list[str]:
        return [str(label) for label in self.runs["variant"].unique()]

    @property
    def _swept(self) -> list[str]:
        """Columns of `runs` that hold swept options."""
        # The suite as it is now, then the stacks: a sweep may have been added after they were trained.
        named = dict.fromkeys(
            str(path) for entry in self.lock.get("variants", ()) for path in entry.get("swept") or {}
        )
        stored = dict.fromkeys(
            str(path) for stack in self._stored.stacks for swept in stack.get("swept", ()) for path in swept
        )
        return [path for path in (named or stored) if path in self.runs]

    @cached_property
    def _stored(self) -> Stored:
        return Stored(self.lock, self.folders, self.name)

    def _repr_html_(self) -> str:
        return notebook.shown(self)


def _metric_names(config: Mapping[str, Any]) -> list[str]:
    return [name_of(metric) for metric in (config.get("evaluate") or {}).get("metrics", ())]
