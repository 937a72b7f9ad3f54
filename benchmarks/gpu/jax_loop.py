"""The third side: the same ring GAN in JAX, all runs by `vmap`, a chunk of steps by `scan`, all compiled.

JAX is no dependency of ganbench: where it is not installed, it is left out of the table.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

CHUNK = 64
LEARNING_RATE, BETA1, BETA2, EPSILON = 1e-3, 0.5, 0.999, 1e-8

Array = Any
"""A JAX array: its types are not installed everywhere."""
Weights = list[tuple[Array, Array]]
"""Matrix and bias of each layer."""


class Adam(NamedTuple):
    """Moments of a player's weights, and the number of moves."""

    first: Weights
    second: Weights
    moves: Array


class Run(NamedTuple):
    """One run: weights and moments of both players."""

    generator: Weights
    discriminator: Weights
    generator_adam: Adam
    discriminator_adam: Adam


def installed() -> bool:
    """Whether JAX is there."""
    return importlib.util.find_spec("jax") is not None


class JaxLoop:
    """A GAN of plain multilayer perceptrons with the non-saturating loss, R1, and Adam.

    Arguments:
        nets: "generator" and "discriminator" in torch, from whose weights every run begins.
        data: N x 2.
    """

    chunk = CHUNK

    def __init__(self, nets: Mapping[str, nn.Module], data: Tensor, batch: int, r1: float, runs: int) -> None:
        # by default JAX takes most of the GPU's memory at once, and multiplies in TF32, unlike torch here
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax
        from jax import numpy as jnp

        jax.config.update("jax_default_matmul_precision", "highest")
        self._batch, self._r1 = batch, r1
        self._latent = next(m for m in nets["generator"].modules() if isinstance(m, nn.Linear)).in_features
        self._nets = {name: _forward(net) for name, net in nets.items()}
        self._data = jnp.asarray(data.cpu().numpy())
        one = begin(weights_of(nets["generator"]), weights_of(nets["discriminator"]))
        self.runs: Run = jax.tree.map(lambda leaf: jnp.stack([leaf] * runs), one)
        self._keys = jax.random.split(jax.random.key(0), runs)
        self._advance = jax.jit(jax.vmap(self._chunk))

    def run(self, steps: int) -> None:
        """Take whole chunks of steps, and wait for the last."""
        import jax

        for _ in range(-(-steps // CHUNK)):
            self.runs, self._keys = self._advance(self.runs, self._keys)
        jax.block_until_ready(self.runs)

    def _chunk(self, run: Run, key: Array) -> tuple[Run, Array]:
        """A chunk of one run's steps. Batches are drawn with replacement: no slower than in an order."""
        import jax

        def one(carried: tuple[Run, Array], _: None) -> tuple[tuple[Run, Array], None]:
            run, key = carried
            key, *keys = jax.random.split(key, 4)
            real = self._data[jax.random.randint(keys[0], (self._batch,), 0, len(self._data))]
            noises = [jax.random.normal(k, (self._batch, self._latent)) for k in keys[1:]]
            return (self.step(run, real, *noises), key), None

        carried, _ = jax.lax.scan(one, (run, key), length=CHUNK)
        return carried

    def step(self, run: Run, real: Array, noise: Array, generator_noise: Array) -> Run:
        """The discriminator's turn, then the generator's."""
        import jax
        from jax import numpy as jnp

        generate, judge, softplus = self._nets["generator"], self._nets["discriminator"], jax.nn.softplus

        def of_discriminator(weights: Weights) -> Array:
            fake = generate(run.generator, noise)
            loss = softplus(-judge(weights, real)).mean() + softplus(judge(weights, fake)).mean()
            if self._r1:
                slope = jax.grad(lambda x: judge(weights, x).sum())(real)
                loss += self._r1 / 2 * jnp.square(slope).sum(1).mean()
            return loss

        discriminator, adam = moved(
            run.discriminator, jax.grad(of_discriminator)(run.discriminator), run.discriminator_adam
        )

        def of_generator(weights: Weights) -> Array:
            return softplus(-judge(discriminator, generate(weights, generator_noise))).mean()

        generator, own = moved(run.generator, jax.grad(of_generator)(run.generator), run.generator_adam)
        return Run(generator, discriminator, own, adam)


def begin(generator: Weights, discriminator: Weights) -> Run:
    """A run before its first step."""
    return Run(generator, discriminator, _fresh(generator), _fresh(discriminator))


def weights_of(net: nn.Module) -> Weights:
    """The linear layers' weights, in order."""
    from jax import numpy as jnp

    layers = [module for module in net.modules() if isinstance(module, nn.Linear)]
    return [
        (jnp.asarray(layer.weight.detach().cpu().numpy()), jnp.asarray(layer.bias.detach().cpu().numpy()))
        for layer in layers
    ]


def moved(weights: Weights, gradients: Weights, adam: Adam) -> tuple[Weights, Adam]:
    """One move of Adam (Kingma and Ba 2015, arXiv:1412.6980)."""
    import jax
    from jax import numpy as jnp

    moves = adam.moves + 1
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, adam.first, gradients)
    second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, adam.second, gradients)
    size = LEARNING_RATE / (1 - BETA1**moves)
    scale = 1 / jnp.sqrt(1 - BETA2**moves)
    after = jax.tree.map(
        lambda w, m, v: w - size * m / (jnp.sqrt(v) * scale + EPSILON), weights, first, second
    )
    return after, Adam(first, second, moves)


def _fresh(weights: Weights) -> Adam:
    import jax
    from jax import numpy as jnp

    zeros = jax.tree.map(jnp.zeros_like, weights)
    return Adam(zeros, zeros, jnp.zeros(()))


def _forward(net: nn.Module) -> Callable[[Weights, Array], Array]:
    """The network as a function of its weights: linear layers, ReLU or leaky ReLU between them."""
    from jax import numpy as jnp

    known = (nn.Linear, nn.ReLU, nn.LeakyReLU, nn.Flatten, nn.Sequential)
    modules = list(net.modules())
    if any(not isinstance(module, known) for module in modules):
        raise ValueError(f"JAX has no counterpart here of {net}")
    slopes = {getattr(m, "negative_slope", 0.0) for m in modules if isinstance(m, (nn.ReLU, nn.LeakyReLU))}
    slope = slopes.pop()

    def forward(weights: Weights, x: Array) -> Array:
        for matrix, bias in weights[:-1]:
            x = x @ matrix.T + bias
            x = jnp.where(x > 0, x, slope * x)
        matrix, bias = weights[-1]
        return x @ matrix.T + bias

    return forward
