"""What each question finds, as data. `Report` holds all of it."""

from __future__ import annotations

from dataclasses import dataclass

from ganbench.doctor.children import Lost


@dataclass(frozen=True)
class Gpu:
    """The GPU that training would take, as torch and nvidia-smi see it.

    Arguments:
        supported: whether this build of torch has code for its architecture.
        compute_mode: of nvidia-smi, such as "Default"; None where it cannot say.
        processes: others that compute on it.
        tf32_matmul, tf32_convolutions: torch's defaults: whether 10 bits of float32's mantissa count.
    """

    name: str
    capability: str
    supported: bool
    memory: int
    free: int
    cuda: str
    cudnn: int | None
    driver: str | None
    compute_mode: str | None
    processes: int
    mps: bool
    tf32_matmul: bool
    tf32_convolutions: bool


@dataclass(frozen=True)
class Facts:
    """The machine and its software.

    Arguments:
        cores: that this process may use; `quota`: CPU time that its container grants, in cores.
        memory: bytes, no more than the container grants.
        cxx_compiler, c_compiler: paths; Inductor needs the first on a CPU, Triton the second on a GPU.
        cards: GPUs that nvidia-smi lists; `cuda`: whether torch can use any.
    """

    python: str
    torch: str
    processor: str
    cores: int
    quota: float | None
    memory: int
    available: int
    cxx_compiler: str | None
    c_compiler: str | None
    triton: str | None
    cards: tuple[str, ...]
    cuda: bool
    gpu: Gpu | None


@dataclass(frozen=True)
class Folder:
    """A folder that training writes to.

    Arguments:
        why_not: None, or why nothing can be written there.
        free: bytes on its disk.
        entries: files in it.
    """

    purpose: str
    path: str
    why_not: str | None
    free: int
    entries: int


@dataclass(frozen=True)
class Way:
    """A way of training, tried. `reason`: why it does not work."""

    name: str
    works: bool
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Agreement:
    """The largest relative difference from the CPU's loop, by the same draws.

    Arguments:
        reason: why the game could not be trained.
    """

    game: str
    way: str
    precision: str
    steps: int
    difference: float
    tolerance: float
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether the difference is rounding."""
        return not self.reason and self.difference < self.tolerance  # false for NaN


@dataclass(frozen=True)
class Waits:
    """How often the CPU waited for the GPU in chunks of different lengths."""

    way: str
    steps: tuple[int, int]
    waits: tuple[int, int]
    where: str = ""

    @property
    def in_steps(self) -> bool:
        """Whether a longer chunk waits more often: then a step waits."""
        return self.waits[1] > self.waits[0]


@dataclass(frozen=True)
class Repetition:
    """A game trained in two processes, each of which compiled anew."""

    game: str
    way: str
    equal: bool


@dataclass(frozen=True)
class Memory:
    """Bytes on the GPU.

    Arguments:
        reserved: after each of several captures, whose trainer was freed.
        estimate, peak: of a stack of `runs` runs, as planned and as measured.
    """

    way: str
    reserved: tuple[int, ...]
    runs: int
    estimate: int
    peak: int

    @property
    def grows(self) -> bool:
        """Whether captures leave memory behind. The first ones fill caches that stay."""
        return self.reserved[-1] > self.reserved[len(self.reserved) // 2]


@dataclass(frozen=True)
class Rate:
    """Seconds that a stack took: to prepare, for the draws of a chunk, for its steps, for one evaluation."""

    device: str
    way: str
    runs: int
    chunk: int
    every: int
    preparing: float
    draws: float
    steps: float
    evaluation: float

    @property
    def run_steps(self) -> float:
        """Run-steps per second, draws included, evaluation left out."""
        return self.runs * self.chunk / (self.draws + self.steps)

    @property
    def evaluating(self) -> float:
        """The share of the time that evaluations take, as often as the game has them."""
        training = self.every / self.chunk * (self.draws + self.steps)
        return self.evaluation / (training + self.evaluation)


@dataclass(frozen=True)
class Report:
    """All that was found. A question that was not asked has None."""

    device: str
    facts: Facts | Lost
    folders: tuple[Folder, ...] = ()
    ways: tuple[Way, ...] = ()
    agreements: tuple[Agreement, ...] | Lost | None = None
    waits: Waits | Lost | None = None
    repetitions: tuple[Repetition, ...] | Lost | None = None
    memory: Memory | Lost | None = None
    rates: tuple[Rate, ...] | Lost | None = None

    @property
    def way(self) -> str | None:
        """The way that training takes: the first that works; None where none does."""
        return next((way.name for way in self.ways if way.works), None)
