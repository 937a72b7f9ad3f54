"""A third-party plugin: everything that it needs of ganbench is a public name, and all of it is typed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import ganbench


@dataclass(frozen=True)
class CriticGAN(ganbench.Model):
    """A GAN of two small perceptrons whose judging player is called critic (no paper, 2026).

    Arguments:
        width: of the hidden layers.
    """

    name = "critic-gan"
    family = "adversarial"
    width: Annotated[int, Field(gt=0)] = 32

    def players(self) -> dict[str, tuple[str, ...]]:
        """Two, with one network each."""
        return {"critic": ("judge",), "generator": ("maker",)}

    def judges(self) -> tuple[str, ...]:
        """The critic, by another name than the default."""
        return ("critic",)

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """maker: B x 2 -> B x shape; judge: B x shape -> B x 1."""
        maker = (*self._hidden(2), nn.Linear(self.width, spec.numel), nn.Unflatten(1, spec.shape))
        judge = (nn.Flatten(), *self._hidden(spec.numel), nn.Linear(self.width, 1))
        return {"maker": nn.Sequential(*maker), "judge": nn.Sequential(*judge)}

    def _hidden(self, inputs: int) -> tuple[nn.Module, ...]:
        return nn.Linear(inputs, self.width), nn.Tanh(), nn.Linear(self.width, self.width), nn.Tanh()

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Noise."""
        return {"noise": ganbench.Draw((batch, 2))}

    def play(self, player: str, nets: ganbench.Nets, batch: ganbench.Batch) -> ganbench.Out:
        """The logits of generated samples, and on the critic's turn those of real ones."""
        fake = nets["maker"](batch["noise"])
        out = {"fake": fake, "fake_logits": nets["judge"](fake)}
        if player == "critic" or self.pairs:
            out["real_logits"] = nets["judge"](batch["data"])
        return out

    def sample_draws(self, spec: ganbench.DataSpec, n: int) -> dict[str, ganbench.Draw]:
        """Noise."""
        return self.draws(spec, n)

    def sample(self, nets: ganbench.Nets, batch: ganbench.Batch) -> Tensor:
        """n x shape."""
        return nets["maker"](batch["noise"])


@dataclass(frozen=True)
class CriticLogistic(ganbench.Loss):
    """The non-saturating loss for players called critic and generator (Goodfellow et al. 2014)."""

    name = "critic-logistic"
    family = "adversarial"
    scale: float = 1.0

    def critic(self, out: ganbench.Out) -> Tensor:
        """Low if real samples have large logits and generated ones small logits."""
        right = F.softplus(-self.scale * out["real_logits"]), F.softplus(self.scale * out["fake_logits"])
        return right[0].mean() + right[1].mean()

    def generator(self, out: ganbench.Out) -> Tensor:
        """Low if generated samples have large logits."""
        return F.softplus(-self.scale * out["fake_logits"]).mean()


@dataclass(frozen=True)
class CriticDrift(ganbench.Technique):
    """Adds weight E[D(x)^2] and its slope at real data on judging players' turns (Karras et al. 2018)."""

    name = "critic-drift"
    weight: float = 1e-3

    def objective(self, inner: ganbench.Objective) -> ganbench.Objective:
        """Adds the penalties."""

        def penalised(player: str, nets: ganbench.Nets, batch: ganbench.Batch, out: ganbench.Out) -> Tensor:
            value = inner(player, nets, batch, out)
            for network in self.judges.get(player, ()):
                slope = ganbench.input_grad(nets.frozen[network], batch["data"])
                value = value + self.weight * (out["real_logits"].square().mean() + slope.square().mean())
            return value

        return penalised

    def field(self, inner: ganbench.GradientField) -> ganbench.GradientField:
        """Clips every gradient."""

        def clipped(
            turn: ganbench.Turn, joint: ganbench.Joint, buffers: ganbench.Named, batch: ganbench.Batch
        ) -> ganbench.Flow:
            flow = inner(turn, joint, buffers, batch)
            short = {player: ganbench.clip_by_norm(g, 100.0) for player, g in flow.gradients.items()}
            return flow._replace(gradients=short)

        return clipped

    def rule(self, inner: ganbench.Rule) -> ganbench.Rule:
        """Leaves the moves as they are, and types what a rule is made of."""

        def apply(
            gradients: ganbench.Joint, joint: ganbench.Joint, memory: ganbench.Memory, clock: ganbench.Clock
        ) -> tuple[ganbench.Joint, ganbench.Memory]:
            return inner.apply(gradients, joint, memory, clock)

        return inner._replace(apply=apply)

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Models with a judging player."""
        return None if model.judges() else f"{model.name} has no judging player"


@dataclass(frozen=True)
class SpreadGap(ganbench.Metric):
    """Difference of the standard deviations of samples and data (no paper, 2026)."""

    name = "spread-gap"
    values = {"spread-gap": "lower"}

    def measure(self, evaluation: ganbench.Evaluation) -> dict[str, float]:
        """The Euclidean norm of the difference, in float64."""
        samples = evaluation.samples.flatten(1).double()
        real = evaluation.real(len(samples)).flatten(1).to(samples)
        return {self.name: torch.linalg.vector_norm(samples.std(0) - real.std(0)).item()}


@dataclass(frozen=True)
class OutcomeLines(ganbench.Logger):
    """A line of JSON per finished run (jsonlines.org)."""

    name = "outcome-lines"

    @cached_property
    def _paths(self) -> dict[str, Path]:
        return {}

    def opened(self, root: Path, suite: Mapping[str, Any]) -> None:
        """Remembers the folder."""
        self._paths["lines"] = root / "outcomes.jsonl"

    def finished(self, stack: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> None:
        """Writes a line per run."""
        with self._paths["lines"].open("a", encoding="utf-8") as file:
            file.writelines(
                json.dumps({name: run[name] for name in ("variant", "outcome")}) + "\n" for run in runs
            )


@ganbench.hookimpl
def ganbench_models() -> list[type[ganbench.Model]]:
    """The model."""
    return [CriticGAN]


@ganbench.hookimpl
def ganbench_losses() -> list[type[ganbench.Loss]]:
    """The loss."""
    return [CriticLogistic]


@ganbench.hookimpl
def ganbench_techniques() -> list[type[ganbench.Technique]]:
    """The technique."""
    return [CriticDrift]


@ganbench.hookimpl
def ganbench_metrics() -> list[type[ganbench.Metric]]:
    """The metric."""
    return [SpreadGap]


@ganbench.hookimpl
def ganbench_loggers() -> list[type[ganbench.Logger]]:
    """The logger."""
    return [OutcomeLines]


@ganbench.hookimpl
def ganbench_suites() -> list[Path]:
    """The suite."""
    return [Path(__file__).with_name("stranger.toml")]
