"""A plugin of one file: a game whose judges have names of their own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

import ganbench


@dataclass(frozen=True)
class ToyJudged(ganbench.Model):
    """One generator against as many judges as there are names; the first has one layer, each next one more.

    Arguments:
        called: the judges. Each is a player with a network of its name.
        maker: the generator.
    """

    name = "toy-judged"
    family = "toy-gan"
    called: tuple[str, ...] = ("critic",)
    maker: str = "generator"

    def players(self):
        return {who: (who,) for who in (self.maker, *self.called)}

    def turns(self):
        return (*((judge,) for judge in self.called), (self.maker,))

    def judges(self):
        return self.called

    def networks(self, spec):
        made = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, spec.numel))
        nets = {self.maker: nn.Sequential(made, nn.Unflatten(1, spec.shape))}
        for count, judge in enumerate(self.called):
            middle = [layer for _ in range(count) for layer in (nn.Linear(5, 5), nn.Tanh())]
            body = [nn.Flatten(), nn.Linear(spec.numel, 5), nn.Tanh(), *middle, nn.Linear(5, 1)]
            nets[judge] = nn.Sequential(*body)
        return nets

    def draws(self, spec, batch):
        return {"noise": ganbench.Draw((batch, 2))}

    def play(self, player, nets, batch):
        fake = nets[self.maker](batch["noise"])
        judges = self.called if player == self.maker else (player,)
        out = {"fake": fake, "fake_logits": torch.cat([nets[judge](fake) for judge in judges])}
        if player in self.called or self.pairs:
            out["real_logits"] = torch.cat([nets[judge](batch["data"]) for judge in judges])
        return out

    def sample_draws(self, spec, n):
        return self.draws(spec, n)

    def sample(self, nets, batch):
        return nets[self.maker](batch["noise"])


@ganbench.hookimpl
def ganbench_models():
    return [ToyJudged]
