"""What the tests of suites are made of: components of every kind, and bad suites."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pluggy
from pydantic import Field

from ganbench.components.data import Dataset
from ganbench.components.kinds import Extractor, Loss, Metric, Model, Technique
from ganbench.plugins.discovery import Catalogue, Failure, Registered

BAD = Path(__file__).parent / "files" / "bad_suites"
GOOD = BAD / "good.toml"
CASES = tomllib.loads((BAD / "cases.toml").read_text("utf-8"))["case"]


@dataclass(frozen=True)
class Dots(Dataset):
    name: ClassVar[str] = "dots"
    size: int = 10

    def load(self, root):
        raise NotImplementedError


class Toy(Model):
    def networks(self, spec):
        return {}

    def play(self, player, nets, batch):
        return {}

    def sample_draws(self, spec, n):
        return {}

    def sample(self, nets, batch):
        return batch["data"]


@dataclass(frozen=True)
class Duel(Toy):
    name: ClassVar[str] = "duel"
    family: ClassVar[str] = "adversarial"
    hidden: tuple[int, ...] = (4,)
    shape: str = "round"
    slope: float = 0.2

    def __post_init__(self):
        if not self.hidden:
            raise ValueError("hidden must not be empty")

    def players(self):
        return {"discriminator": ("d",), "generator": ("g",)}


@dataclass(frozen=True)
class Mirror(Toy):
    name: ClassVar[str] = "mirror"
    family: ClassVar[str] = "variational"
    depth: int = 2

    shows = ("mean",)

    def players(self):
        return {"vae": ("encoder", "decoder")}


@dataclass(frozen=True)
class Push(Loss):
    name: ClassVar[str] = "push"
    family: ClassVar[str] = "adversarial"
    margin: float = 1.0

    def discriminator(self, out):
        return 0

    def generator(self, out):
        return 0


@dataclass(frozen=True)
class Pull(Push):
    name: ClassVar[str] = "pull"


@dataclass(frozen=True)
class Lame(Loss):
    name: ClassVar[str] = "lame"
    family: ClassVar[str] = "adversarial"

    def generator(self, out):
        return 0


@dataclass(frozen=True)
class Copy(Loss):
    name: ClassVar[str] = "copy"
    family: ClassVar[str] = "variational"

    def vae(self, out):
        return 0


@dataclass(frozen=True)
class Damp(Technique):
    name: ClassVar[str] = "damp"
    gamma: Annotated[float, Field(ge=0)] = 1.0

    def objective(self, inner):
        return inner


@dataclass(frozen=True)
class Wrap(Technique):
    name: ClassVar[str] = "wrap"
    scale: float = 1.0

    def network(self, name, net):
        return net

    def fits(self, model, loss):
        return None if "discriminator" in model.players() else "it needs a discriminator"


@dataclass(frozen=True)
class Clash(Technique):
    name: ClassVar[str] = "clash"
    conflicts = ("damp",)
    requires = ("wrap",)


@dataclass(frozen=True)
class Classic(Duel):
    name: ClassVar[str] = "classic"
    recipe = {
        "loss": "pull",
        "techniques": ["damp"],
        "optimizer": {"name": "rmsprop", "lr": 5e-5, "discriminator": {"lr": 1e-4}},
        "batch": 7,
    }


@dataclass(frozen=True)
class Broken(Duel):
    name: ClassVar[str] = "broken"
    recipe = {"loss": "pulll"}


@dataclass(frozen=True)
class Extra(Duel):
    """A model with a player that no loss knows: it has terms."""

    name: ClassVar[str] = "extra"

    def players(self):
        return {**super().players(), "encoder": ("e",)}

    def terms(self, player, out):
        return out["kl"]


@dataclass(frozen=True)
class Spread(Metric):
    name: ClassVar[str] = "spread"
    values: ClassVar[dict[str, str]] = {"spread": "higher"}

    def measure(self, evaluation):
        return {}


@dataclass(frozen=True)
class Gap(Metric):
    name: ClassVar[str] = "gap"
    values: ClassVar[dict[str, str]] = {"gap": "lower", "gap-strict": "lower"}
    power: int = 1

    def measure(self, evaluation):
        return {}


@dataclass(frozen=True)
class Codes(Metric):
    name: ClassVar[str] = "codes"
    values: ClassVar[dict[str, str]] = {"codes": "higher"}
    reads = ("mean", "vae")

    def measure(self, evaluation):
        return {}


@dataclass(frozen=True)
class Looker(Extractor):
    name: ClassVar[str] = "looker"
    places = ("weights",)
    weights: str = ""
    depth: int = 1

    def prepare(self, data, cache):
        raise NotImplementedError

    def digest(self, data):
        return "looker"


def toys(*failures: Failure) -> Catalogue:
    catalogue = Catalogue(pluggy.PluginManager("toys"), failures=list(failures))
    for cls in (
        Dots,
        Duel,
        Classic,
        Broken,
        Extra,
        Mirror,
        Push,
        Pull,
        Lame,
        Copy,
        Damp,
        Wrap,
        Clash,
        Codes,
        Looker,
        Spread,
        Gap,
    ):
        catalogue.components[cls.kind][cls.name] = Registered(cls, "toys", "toys", "1")
    return catalogue


def spoilt(case: dict[str, Any]) -> str:
    text = GOOD.read_text("utf-8")
    assert text.count(case["old"]) == 1, "the case spoils exactly one place"
    long = ", ".join(map(str, range(1, 10_001)))
    return text.replace(case["old"], case["new"].replace("BATCHES", long))
