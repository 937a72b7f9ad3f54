"""Training a sample of an archive's runs here, and comparing the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ganbench.engine.data import Sources
from ganbench.judging.outcomes import Outcome
from ganbench.judging.run_rows import judged_again
from ganbench.planning.choice import Settings, evaluating_threads
from ganbench.planning.run_key import Identities
from ganbench.plugins.discovery import Catalogue
from ganbench.running.events import Failed, OutOfMemory
from ganbench.running.rejudge import completed
from ganbench.sharing.compare import Compared, compare
from ganbench.sharing.obstacles import obstacle
from ganbench.sharing.plugin_files import needed
from ganbench.sharing.rounding import other_machine, why_not_exact
from ganbench.sharing.verify import Check, Verified
from ganbench.storage.environment import environment
from ganbench.storage.records import EngineRecord, OptionValue, part_of
from ganbench.storage.stack_folder import StackFolder
from ganbench.storage.suite_lock import lock_in
from ganbench.suites.load import canonical


@dataclass(frozen=True)
class Sampled:
    """Runs of one stack that were chosen, by their indices."""

    folder: StackFolder
    runs: tuple[int, ...]

    def labels(self) -> list[str]:
        """Such as "hinge/r1 seed 3", one for each run."""
        config = self.folder.config()
        return [f"{config['labels'][run]} seed {config['seeds'][run]}" for run in self.runs]


def sample(verified: Verified, count: int) -> list[Sampled]:
    """`count` of the runs that have a result, drawn by the archive's digest: nobody chooses them."""
    trained = [
        (key, folder, run)
        for folder in verified.stacks
        for run, (key, outcome) in enumerate(folder.runs()[["key", "outcome"]].itertuples(index=False))
        if Outcome(outcome).has_result
    ]
    # By key: names of folders, which a packer could choose, must not decide which runs are drawn.
    trained.sort(key=lambda entry: entry[0])
    generator = np.random.default_rng(int(verified.digest, 16))
    # the start of a permutation: a larger count draws the same runs and more
    drawn = sorted(generator.permutation(len(trained))[:count])
    groups: dict[str, Sampled] = {}
    for _, folder, run in (trained[index] for index in drawn):
        before = groups[folder.path.name].runs if folder.path.name in groups else ()
        groups[folder.path.name] = Sampled(folder, tuple(sorted((*before, run))))
    return list(groups.values())


def retrain(
    verified: Verified,
    count: int,
    scratch: Path,
    catalogue: Catalogue,
    settings: Settings,
    plugin_files: Sequence[str] = (),
) -> tuple[list[Check], list[Compared]]:
    """Train a sample of `count` runs in the folder `scratch`, and compare their rows with the archive's.

    A run is trained only where the components, data and sources that it was made of are the same here.

    Returns:
        The checks, and a comparison of each run that was trained.
    """
    identities = Identities(catalogue, Sources(catalogue))
    untried: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    again: dict[str, tuple[Sampled, StackFolder]] = {}
    sampled_runs = sample(verified, count)
    for sampled in sampled_runs:
        config = sampled.folder.config()
        try:
            reason = obstacle(config, verified.folder, catalogue, identities, plugin_files)
            if reason:
                untried.setdefault(reason, []).extend(sampled.labels())
                continue
            folder = _prepared(sampled, scratch, verified, catalogue, settings)
        except Exception as error:  # the configuration is anybody's
            refused.setdefault(f"not trained ({type(error).__name__}: {error})", []).extend(sampled.labels())
        else:
            again[folder.path.name] = (sampled, folder)
    failed = _train([str(folder.path) for _, folder in again.values()], settings, plugin_files)
    compared: list[Compared] = []
    for name, (sampled, folder) in again.items():
        if name in failed:
            refused.setdefault(f"failed here: {failed[name]}", []).extend(sampled.labels())
        else:
            _judge(folder, sampled.folder.config()["verdict"])
            compared += compare(verified, sampled.folder, folder, why_not_exact(sampled.folder, folder))
    return [_check(refused, compared), *_untried(untried), *unsampled(verified, sampled_runs)], compared


def _train(paths: Sequence[str], settings: Settings, plugin_files: Sequence[str]) -> dict[str, str]:
    """Train stacks. Return name -> reason of those that failed."""
    from ganbench.running.pool import Pool

    failed: dict[str, str] = {}
    workers = min(settings.workers, len(paths))
    with Pool(workers, plugin_files, gpus=settings.gpus[:workers]) as pool:
        for event in pool.train(paths):
            if isinstance(event, Failed | OutOfMemory):
                failed[event.stack] = event.reason
    return failed


def _prepared(
    sampled: Sampled, scratch: Path, verified: Verified, catalogue: Catalogue, settings: Settings
) -> StackFolder:
    """A new stack of the sampled runs; of all of its stack, where only that can be the same bit for bit."""
    config = sampled.folder.config()
    usable = _usable(config["engine"], catalogue, settings)
    engine = _anew(config["engine"], usable, settings)
    here = environment(torch.device(engine["device"]), settings.gpus[0] if settings.gpus else None)
    # Runs that are stepped as one round differently in another number: only the whole stack can be equal.
    whole = usable and engine["mapper"] == "map" and not any(other_machine(sampled.folder.env(), here))
    runs = range(len(config["keys"])) if whole else sampled.runs
    suite_verdict = lock_in(verified.folder).get("suite_verdict", config["verdict"])
    part = part_of({**config, "engine": engine, "verdict": completed(suite_verdict)}, runs)
    folder = StackFolder.create(scratch, config["label"], canonical({"keys": part["keys"], "engine": engine}))
    folder.write_config(part)
    return folder


def _usable(engine: EngineRecord, catalogue: Catalogue, settings: Settings) -> bool:
    """Whether the engine that trained the stack is available here. A CPU is everywhere."""
    if engine["device"] not in ("cpu", settings.device):
        return False
    executor = catalogue.of("executor").get(engine["executor"])
    return executor is not None and executor.cls().available(engine["device"]) is None


def _anew(engine: EngineRecord, usable: bool, settings: Settings) -> EngineRecord:
    """The engine to train with, without what became of the archive's plan; run by run if it is not usable."""
    plan: EngineRecord = {
        "mapper": engine["mapper"],
        "executor": engine["executor"],
        "device": engine["device"],
        "size": engine["size"],
        "threads": evaluating_threads(settings),
    }
    return plan if usable else {**plan, "mapper": "loop", "executor": "eager", "device": "cpu"}


def _judge(folder: StackFolder, thresholds: Mapping[str, OptionValue]) -> None:
    """Judge by the thresholds that the archive was judged by."""
    rows = judged_again(folder, completed(thresholds))
    if rows is not None:
        folder.write_runs(rows)


def _check(refused: Mapping[str, Sequence[str]], compared: Sequence[Compared]) -> Check:
    """Whether what was trained agrees; None where nothing was."""
    if not compared and not refused:
        return Check("retrained", None, "no run was trained again")
    differ = [f"{run.label} seed {run.seed}: {run.detail}" for run in compared if not run.ok]
    exact = sum(run.exact for run in compared)
    counts = f"{_runs(len(compared))} trained again, {exact} of them equal bit for bit"
    faults = [*differ, *(f"{', '.join(labels)}: {why}" for why, labels in refused.items())]
    return Check("retrained", not faults, "; ".join([counts, *faults]))


def _untried(untried: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """Runs of the sample that were not trained, and why."""
    for why, labels in untried.items():
        yield Check("not tried", None, f"{_runs(len(labels))} not tried: {why}", tuple(labels))


def unsampled(verified: Verified, sampled: Sequence[Sampled]) -> Iterator[Check]:
    """A check for each single-file plugin none of whose runs is in the sample."""
    reached = {path.name for path in needed(stack.folder.config() for stack in sampled).values()}
    counts: Counter[str] = Counter()
    for folder in verified.stacks:
        config = folder.config()
        counts.update(dict.fromkeys({path.name for path in needed([config]).values()}, len(config["keys"])))
    for name, count in sorted(counts.items()):
        if name not in reached:
            absent = f"no run with {name} is in the sample, of {count} in the archive"
            yield Check("not tried", None, f"{absent}; a larger --retrain reaches them")


def _runs(count: int) -> str:
    return "1 run was" if count == 1 else f"{count} runs were"
