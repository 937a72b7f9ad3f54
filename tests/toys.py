"""Components of the core's own tests: a plugin of one file, which needs no built-in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ganbench
from ganbench.game.draws import stream


@dataclass(frozen=True)
class ToyDuel(ganbench.Model):
    """Two scalars on a saddle: the min player lowers x y + x^2 / 20, the max player raises it."""

    name = "toy-duel"
    family = "toy-saddle"
    x: float = 1.0
    y: float = -0.5
    together: bool = True

    def players(self):
        return {"low": ("low",), "high": ("high",)}

    def turns(self):
        return (("low", "high"),) if self.together else (("low",), ("high",))

    def networks(self, spec):
        return {"low": _Scalar(self.x), "high": _Scalar(self.y)}

    def play(self, player, nets, batch):
        one = torch.ones_like(batch["data"][:1, :1])
        return {"x": nets["low"](one), "y": nets["high"](one)}

    def sample_draws(self, spec, n):
        return {"noise": ganbench.Draw((n, *spec.shape))}

    def sample(self, nets, batch):
        return nets["low"](batch["noise"])


class _Scalar(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.value


@dataclass(frozen=True)
class ToyGAN(ganbench.Model):
    """Tiny smooth networks; `norm` puts batch norm into the generator."""

    name = "toy-gan"
    family = "toy-gan"
    width: int = 4
    norm: bool = False
    together: bool = False
    discriminator_turns: int = 1

    def players(self):
        return {"generator": ("generator",), "discriminator": ("discriminator",)}

    def turns(self):
        if self.together:
            return (("discriminator", "generator"),)
        return (("discriminator",),) * self.discriminator_turns + (("generator",),)

    def networks(self, spec):
        middle = [nn.BatchNorm1d(self.width)] if self.norm else []
        return {
            "generator": nn.Sequential(
                nn.Linear(2, self.width), *middle, nn.Tanh(), nn.Linear(self.width, spec.numel)
            ),
            "discriminator": nn.Sequential(
                nn.Linear(spec.numel, self.width), nn.Tanh(), nn.Linear(self.width, 1)
            ),
        }

    def draws(self, spec, batch):
        return {"noise": ganbench.Draw((batch, 2))}

    def play(self, player, nets, batch):
        fake = nets["generator"](batch["noise"])
        out = {"fake": fake, "fake_logits": nets["discriminator"](fake)}
        return out if player == "generator" else out | {"real_logits": nets["discriminator"](batch["data"])}

    def sample_draws(self, spec, n):
        return self.draws(spec, n)

    def sample(self, nets, batch):
        return nets["generator"](batch["noise"])


@dataclass(frozen=True)
class ToySaddle(ganbench.Loss):
    """x y + x^2 / 20, zero-sum."""

    name = "toy-saddle"
    family = "toy-saddle"
    pull: float = 1.0

    def low(self, out):
        return (self.pull * out["x"] * out["y"] + out["x"].square() / 20).mean()

    def high(self, out):
        return -self.low(out)


@dataclass(frozen=True)
class ToyLoss(ganbench.Loss):
    """Logistic, with logits scaled by `sharpness`."""

    name = "toy-loss"
    family = "toy-gan"
    sharpness: float = 1.0

    def discriminator(self, out):
        real, fake = (self.sharpness * out[name] for name in ("real_logits", "fake_logits"))
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, out):
        return F.softplus(-self.sharpness * out["fake_logits"]).mean()


@dataclass(frozen=True)
class ToyBomb(ganbench.Loss):
    """Linear logits; the discriminator's value, not its gradient, is infinite once a real one is > `fuse`."""

    name = "toy-bomb"
    family = "toy-gan"
    fuse: float = 1e6

    def discriminator(self, out):
        value = out["fake_logits"].mean() - out["real_logits"].mean()
        return value + torch.where(out["real_logits"].mean() > self.fuse, torch.inf, 0.0)

    def generator(self, out):
        return -out["fake_logits"].mean()


@dataclass(frozen=True)
class ToyPenalty(ganbench.Technique):
    """Uses all arrows but the network's: a slope penalty at a drawn place, a damped field, a short memory."""

    name = "toy-penalty"
    weight: float = 0.5
    damping: float = 0.1

    def objective(self, inner):
        def penalised(player, nets, batch, out):
            value = inner(player, nets, batch, out)
            if player != "discriminator":
                return value
            place = batch["data"] + batch["toy-penalty/shift"]
            slope = ganbench.input_grad(nets.frozen["discriminator"], place)
            return value + self.weight * slope.square().mean()

        return penalised

    def field(self, inner):
        def damped(turn, joint, buffers, batch):
            flow = inner(turn, joint, buffers, batch)
            return flow._replace(gradients={p: g * (1 - self.damping) for p, g in flow.gradients.items()})

        return damped

    def rule(self, inner):
        def init(joint):
            return inner.init(joint) | {f"{player}/before": flat.clone() for player, flat in joint.items()}

        def apply(gradients, joint, memory, clock):
            moved, memory = inner.apply(gradients, joint, memory, clock)
            return moved, memory | {f"{player}/before": joint[player] for player in gradients}

        def evaluated(joint, memory):
            return {player: memory[f"{player}/before"] for player in joint}

        return inner._replace(init=init, apply=apply, evaluated=evaluated)

    def draws(self, spec, batch):
        return {"toy-penalty/shift": ganbench.Draw((batch, *spec.shape), "uniform")}


@dataclass(frozen=True)
class ToyBlob(ganbench.Dataset):
    """Points around (1, -1)."""

    name = "toy-blob"
    size: int = 50

    def load(self, root: Path | None) -> ganbench.Data:
        points = torch.randn(2 * self.size, 2, generator=stream("cpu", 0, "toy-blob")) / 4
        points = points + torch.tensor([1.0, -1.0])
        return ganbench.Data(train=points[: self.size], test=points[self.size :])


@dataclass(frozen=True)
class ToyMean(ganbench.Metric):
    """Distance between the means of samples and of held-out data."""

    name = "toy-mean"
    values = {"toy-mean": "lower"}

    def measure(self, evaluation: ganbench.Evaluation) -> dict[str, float]:
        gap = evaluation.samples.mean(0) - evaluation.data.test.to(evaluation.samples).mean(0)
        return {"toy-mean": float(gap.norm())}


@ganbench.hookimpl
def ganbench_models():
    return [ToyDuel, ToyGAN]


@ganbench.hookimpl
def ganbench_losses():
    return [ToySaddle, ToyLoss, ToyBomb]


@ganbench.hookimpl
def ganbench_techniques():
    return [ToyPenalty]


@ganbench.hookimpl
def ganbench_datasets():
    return [ToyBlob]


@ganbench.hookimpl
def ganbench_metrics():
    return [ToyMean]


def variant(
    model: str = "toy-gan",
    loss: str = "toy-loss",
    techniques: tuple[str, ...] = (),
    options: Mapping[str, Mapping[str, object]] | None = None,
    optimizer: Mapping[str, object] | None = None,
    players: tuple[str, ...] = ("generator", "discriminator"),
    batch: int = 8,
    precision: str = "float64",
    steps: int = 1000,
) -> dict[str, object]:
    """What of a resolved variant a Program reads. `optimizer`: one table, or one a player."""
    chosen, table = options or {}, optimizer or {"name": "adam", "lr": 1e-2, "betas": [0.5, 0.999]}

    def entry(name: str) -> dict[str, object]:
        return {"name": name, "options": dict(chosen.get(name, {}))}

    return {
        "model": entry(model),
        "loss": entry(loss),
        "techniques": [entry(name) for name in techniques],
        "optimizer": {player: copy.deepcopy(table.get(player, table)) for player in players},
        "steps": steps,
        "batch": batch,
        "precision": precision,
    }
