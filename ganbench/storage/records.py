"""The records that a folder of results keeps as JSON and as rows: what each holds, and of which type.

`ganbench.storage.schema` has the same rows as arrow columns. Floats that are not finite are null in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

OptionValue: TypeAlias = Any
"""A component's option as JSON has it: number, text, flag, list, table or null."""


SeenBy: TypeAlias = Literal["trace", "evaluation", "clock", ""]
"""What showed that a run failed; empty where it did not, or broke."""


class ComponentEntry(TypedDict):
    """A component with all its options."""

    name: str
    options: dict[str, OptionValue]


OptimizerTable: TypeAlias = dict[str, OptionValue]
"""One player's optimiser: "name" and its options."""


class EvaluateConfig(TypedDict):
    """What is measured, and when.

    `every` counts steps, `samples` generated samples; `extractors` are options by extractor; `probes` are the
    ones beyond those of every run.
    """

    every: int
    samples: int
    metrics: list[ComponentEntry]
    extractors: dict[str, dict[str, OptionValue]]
    probes: list[str]


class VariantConfig(TypedDict):
    """A resolved variant: everything that a run is, but for its seed. `optimizer` has a table a player.

    `tf32` is there only where it is true, so that a variant without it keeps its run keys.
    """

    dataset: ComponentEntry
    model: ComponentEntry
    loss: ComponentEntry
    techniques: list[ComponentEntry]
    optimizer: dict[str, OptimizerTable]
    steps: int
    batch: int
    precision: Literal["float32", "float64"]
    tf32: NotRequired[Literal[True]]
    evaluate: EvaluateConfig


class Owner(TypedDict):
    """Who provides a component: a distribution with its version, or a single file, which has none."""

    distribution: str
    version: str
    packaged: bool


class EngineRecord(TypedDict):
    """How a stack is trained.

    `threads` evaluate its runs; `card` is the model of GPU that it is for, where the machine has several.
    Where it is not trained as planned, `planned` is the way that was (see `way_of`), and `why` says why not.
    `nondeterministic` names the operations of a GPU that were met and have no deterministic algorithm.
    """

    mapper: Literal["map", "loop"]
    executor: str
    device: str
    size: int
    threads: int
    card: NotRequired[str]
    planned: NotRequired[str]
    why: NotRequired[str]
    nondeterministic: NotRequired[list[str]]


def way_of(engine: EngineRecord | PlannedStack) -> str:
    """How a stack is trained, as users choose it: the executor of mapped runs, or "loop" for run by run."""
    return "loop" if engine["mapper"] == "loop" else engine["executor"]


class Identity(TypedDict):
    """What of an installation goes into a run key.

    `data` and `extractors` are digests; `components` has [owner, hash of the source] by "kind name"; `places`
    are the options that the key leaves out, as "name.option". `draws` is
    `ganbench._version.DRAWS`; runs of before it was counted lack it.
    """

    schema: int
    draws: NotRequired[int]
    data: str
    components: dict[str, list[str]]
    extractors: dict[str, str]
    places: list[str]


class StackConfig(TypedDict):
    """A stack's config.json: lists have an entry a run. `stopped`: verdicts of runs stopped as hopeless."""

    schema: int
    suite: str
    label: str
    labels: list[str]
    variants: list[VariantConfig]
    seeds: list[int]
    keys: list[str]
    identity: Identity
    swept: list[dict[str, OptionValue]]
    values: list[dict[str, float]]
    verdict: dict[str, OptionValue]
    directions: dict[str, str]
    critic: bool
    judges: NotRequired[list[str]]
    modes: int | None
    engine: EngineRecord
    versions: dict[str, Owner]
    stopped: NotRequired[Mapping[str, Sequence[Any]]]


def part_of(config: StackConfig, runs: Sequence[int]) -> StackConfig:
    """The configuration of a stack of some of the runs, given by index, none of them trained yet."""
    part: StackConfig = {
        **config,
        "labels": [config["labels"][run] for run in runs],
        "variants": [config["variants"][run] for run in runs],
        "seeds": [config["seeds"][run] for run in runs],
        "keys": [config["keys"][run] for run in runs],
        "swept": [config["swept"][run] for run in runs],
        "values": [config["values"][run] for run in runs],
        "engine": {**config["engine"], "size": len(runs)},
    }
    part.pop("stopped", None)  # by the indices of the whole stack
    return part


class StackStatus(TypedDict, total=False):
    """A stack's status.json."""

    state: Literal["training", "finished", "crashed", "split"]
    step: int
    steps: int
    reason: str


class CheckpointMeta(TypedDict):
    """What a checkpoint holds beside the tensors of the state.

    `died` has an entry a run: the step at which it was frozen, 0 while it trains. `seconds` counts training
    and evaluating, `evaluating` only the latter. `stopped`: verdicts by the run's index.
    """

    step: int
    died: list[int]
    seconds: float
    evaluating: float
    stopped: NotRequired[Mapping[str, Sequence[Any]]]


class StackInfo(TypedDict):
    """A stack as observers and loggers see it: lists have an entry a run.

    `id` is the name of its folder, `folder` the path. `step`: where it begins or resumes; only at its start.
    """

    id: str
    label: str
    variants: list[str]
    seeds: list[int]
    keys: list[str]
    configs: list[VariantConfig]
    swept: list[dict[str, OptionValue]]
    steps: int
    step: NotRequired[int]
    engine: EngineRecord
    folder: str


# As a call: "from" is a keyword, which no field of a class can be called.
LiveTraining = TypedDict(
    "LiveTraining",
    {
        "from": int,
        "since": float,
        "step": int,
        "steps": int,
        "died": dict[str, int],
        "evaluated": int | None,
        "metrics": dict[str, list[float]],
    },
)
"""A stack in training, in live.json. `from` and `since`: the step and time at which this session began it;
`died`: the step at which runs were frozen, by index; `metrics`: least, median and greatest value of each."""


class Fallback(TypedDict):
    """How many stacks of a session were trained by `executor`, not by `planned`, for the same reason."""

    stacks: int
    executor: str
    planned: str
    reason: str


class LiveRecord(TypedDict):
    """live.json: what a session is training. `began`: when its first stack did; `work`: predicted seconds.

    `fallbacks` is absent where an earlier version writes it.
    """

    time: float
    began: float | None
    run_steps: int
    work: float
    training: dict[str, LiveTraining]
    fallbacks: NotRequired[list[Fallback]]


class PlannedStack(TypedDict):
    """What the lock says of a stack that was planned: `varying` names the values that differ within it.

    `card` and `why` are those of its `EngineRecord`.
    """

    device: str
    mapper: Literal["map", "loop"]
    executor: str
    keys: list[str]
    varying: list[str]
    seconds: float
    card: NotRequired[str]
    why: NotRequired[str]


class FailedRun(TypedDict):
    """A run that cannot be trained: its parts do not fit together."""

    key: str
    label: str
    seed: int
    outcome: str
    reason: str


class LockedVariant(TypedDict):
    """A variant as the lock keeps it."""

    label: str
    config: VariantConfig
    swept: dict[str, OptionValue]


class CompareConfig(TypedDict):
    """The suite's main metric, and its baseline as a pattern of variants."""

    metric: str | None
    baseline: dict[str, OptionValue] | None


class SuiteLock(TypedDict):
    """suite.lock.json: the resolved suite beside its results.

    `suite_verdict`: the suite's own thresholds, while `ganbench judge` has put others in force.
    """

    schema: int
    suite: str
    description: str
    source: str
    keys: list[str]
    labels: list[str]
    seeds: list[int]
    compare: CompareConfig
    verdict: dict[str, OptionValue]
    directions: dict[str, str]
    variants: list[LockedVariant]
    failed: list[FailedRun]
    stacks: list[PlannedStack]
    command: NotRequired[str]
    suite_verdict: NotRequired[dict[str, OptionValue]]


class EvaluationRow(TypedDict):
    """One value at one evaluation of one run. `run` is its index within the stack."""

    run: int
    step: int
    metric: str
    value: float
    n: int
    extractor: str
    weights: str
    n_real: int | None
    dimensions: int | None
    extractor_digest: str | None


class ObservedRow(EvaluationRow):
    """An evaluation's row as observers and loggers get it: with its run's variant and seed."""

    variant: str
    seed: int


class RunRow(TypedDict):
    """A run's row of results; swept options are further columns.

    `seen_by`, `player`, `probe` and `behaviour` are the facts of `reason` and `remark`; they are null in rows
    of an earlier version. `executor` is how the run was trained (see `way_of`). Where that is not as planned,
    `planned_executor` is what was planned, and `executor_reason` says why not; else both are empty.
    `versions` is JSON: an `Owner` a component.
    """

    key: str
    suite: str
    variant: str
    model: str
    loss: str
    techniques: str
    dataset: str
    seed: int
    outcome: str
    onset_step: int | None
    reason: str
    evidence_first: int | None
    evidence_last: int | None
    remark: str
    seen_by: SeenBy | None
    player: str | None
    probe: str | None
    behaviour: str | None
    steps: int
    budget: int
    seconds: float
    evaluation_seconds: float
    device: str
    executor: str
    planned_executor: str
    executor_reason: str
    mapper: str
    stack_size: int
    stack: str
    versions: str
