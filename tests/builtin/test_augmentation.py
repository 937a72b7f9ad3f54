"""Techniques that change what the discriminator sees, and consistency under such changes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from toys import variant

from ganbench.components.base import create
from ganbench.components.data import Data, DataSpec
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench.game.draws import draw, stream
from ganbench.game.fields import functional_field
from ganbench.game.nets import BoundNets, Nets, named_buffers
from ganbench_builtin.losses.hinge import Hinge
from ganbench_builtin.models.cyclegan import CycleGAN
from ganbench_builtin.models.mlp_gan import MLPGAN
from ganbench_builtin.models.mlp_vae import MLPVAE
from ganbench_builtin.techniques import _augment as augment
from ganbench_builtin.techniques._seen import CALLS
from ganbench_builtin.techniques.adaptive_augment import AdaptiveAugment
from ganbench_builtin.techniques.balanced_consistency import BalancedConsistency
from ganbench_builtin.techniques.consistency import Consistency
from ganbench_builtin.techniques.diff_augment import DiffAugment
from ganbench_builtin.techniques.instance_noise import InstanceNoise

DOUBLE = torch.float64
SPEC = DataSpec((3, 16, 16))
ALL_KINDS = tuple(augment.TRANSFORMS)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=tolerance, atol=tolerance)


def centre(value, least, most):
    """The draw in the middle of those that give an integer."""
    return (value - least + 0.5) / (most - least + 1)


# -- transforms, against numpy


def moved(image, down, right, **padding):
    """C x H x W by slicing a padded one."""
    pad = max(abs(down), abs(right))
    wide = np.pad(image, ((0, 0), (pad, pad), (pad, pad)), **padding)
    return wide[:, pad - down :, pad - right :][:, : image.shape[1], : image.shape[2]]


def test_translation_is_zero_padded_and_reaches_an_eighth():
    shifts = list(itertools.product((-2, -1, 0, 2), (-4, 0, 1, 4)))
    x = random(len(shifts), 3, 16, 32)
    draws = torch.tensor([[centre(a, -2, 2), centre(b, -4, 4)] for a, b in shifts], dtype=DOUBLE)
    expected = [moved(image, *shift) for image, shift in zip(x.numpy(), shifts, strict=True)]
    assert torch.equal(augment.translation(x, draws), torch.from_numpy(np.stack(expected)))


def test_shifted_images_may_be_padded_by_reflection():
    shifts = list(itertools.product((-3, 0, 2), (-1, 0, 3)))
    x = random(len(shifts), 2, 5, 4)
    down, right = torch.tensor(shifts).T
    expected = [moved(image, *shift, mode="reflect") for image, shift in zip(x.numpy(), shifts, strict=True)]
    assert torch.equal(augment.shifted(x, down, right, mirror=True), torch.from_numpy(np.stack(expected)))


@pytest.mark.parametrize("extent", [8, 7])
def test_cutout_is_a_box_of_half_the_side_around_any_pixel(extent):
    size = {8: 4, 7: 4}[extent]  # 3.5 is rounded up
    centres = range(extent + 1 - size % 2)
    places = list(itertools.product(centres, centres))
    draws = torch.tensor([[centre(place, 0, centres[-1]) for place in both] for both in places], dtype=DOUBLE)
    x = random(len(places), 2, extent, extent).abs() + 1
    found = augment.cutout(x, draws).numpy()
    for image, original, (row, column) in zip(found, x.numpy(), places, strict=True):
        expected = original.copy()
        for i in range(size):
            for j in range(size):
                at = row + i - size // 2, column + j - size // 2
                if min(at) >= 0 and max(at) < extent:
                    expected[:, at[0], at[1]] = 0
        np.testing.assert_array_equal(image, expected)


def test_colours_are_the_formulas():
    x, draws = random(5, 3, 4, 6), uniform(5, 1)
    images, numbers = x.numpy(), draws.numpy()[:, :, None, None]
    close(augment.brightness(x, draws), images + numbers - 0.5)
    grey = images.mean(axis=1, keepdims=True)
    close(augment.saturation(x, draws), grey + (images - grey) * 2 * numbers)
    mean = np.stack([np.full(image.shape, image.mean()) for image in images])
    close(augment.contrast(x, draws), mean + (images - mean) * (0.5 + numbers))


def test_turns_and_flips_are_numpys():
    x = random(4, 2, 5, 5)
    draws = torch.tensor([[centre(k, 0, 3)] for k in range(4)], dtype=DOUBLE)
    expected = [np.rot90(image, k, axes=(1, 2)) for k, image in enumerate(x.numpy())]
    assert torch.equal(augment.rotation(x, draws), torch.from_numpy(np.stack(expected)))
    expected = [image[:, :, ::-1] if k < 2 else image for k, image in enumerate(x.numpy())]
    assert torch.equal(augment.flip(x, draws), torch.from_numpy(np.stack(expected)))


def test_no_strength_is_the_image():
    x, middle = random(3, 3, 16, 16), torch.full((3, 2), 0.5, dtype=DOUBLE)
    for transform in (augment.brightness, augment.saturation, augment.contrast, augment.translation):
        close(transform(x, middle), x)
    nothing = AdaptiveAugment(transforms=ALL_KINDS)
    draws = uniform(3, columns(nothing))
    assert torch.equal(nothing.transform(x, draws, torch.zeros((), dtype=DOUBLE)), x)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("most", [1, 2, 4, 7, 16, 100])
def test_integers_are_equally_likely_and_never_too_large(most, dtype):
    numbers = (torch.arange(10 * (2 * most + 1)) + 0.5) / (10 * (2 * most + 1))
    values, counts = augment.integer(numbers.to(dtype), -most, most).unique(return_counts=True)
    assert values.tolist() == list(range(-most, most + 1))
    assert set(counts.tolist()) == {10}
    last = torch.nextafter(torch.ones((), dtype=dtype), torch.zeros((), dtype=dtype))
    assert augment.integer(last, -most, most) == most


def columns(technique):
    return technique.draws(SPEC, 1)[f"{technique.name}/0"].shape[1]


def test_a_policy_is_its_transforms_in_turn():
    x = random(4, 3, 16, 16)
    technique = DiffAugment(policy=("cutout", "color", "translation"))
    draws = uniform(4, columns(technique))
    expected = augment.cutout(x, draws[:, :2])
    for k, transform in enumerate((augment.brightness, augment.saturation, augment.contrast)):
        expected = transform(expected, draws[:, 2 + k : 3 + k])
    expected = augment.translation(expected, draws[:, 5:7])
    assert draws.shape[1] == 7
    assert torch.equal(technique.transform(x, draws), expected)


def test_each_image_is_transformed_with_probability_p():
    count, p = 20000, torch.tensor(0.3, dtype=DOUBLE)
    technique = AdaptiveAugment(transforms=("color",))
    x = torch.zeros(count, 1, 1, 1, dtype=DOUBLE)  # which only brightness changes
    changed = technique.transform(x, uniform(count, columns(technique)), p).flatten()
    touched = changed[changed != 0]
    assert abs(len(touched) / count - 0.3) < 4 * (0.3 * 0.7 / count) ** 0.5
    assert touched.abs().max() <= 0.5
    assert abs(touched.std().item() - 12**-0.5) < 0.01  # of a uniform number


@pytest.mark.parametrize("technique", [DiffAugment(), AdaptiveAugment(transforms=ALL_KINDS)])
def test_gradients_flow_through_transforms(technique):
    spec = DataSpec((2, 8, 8))
    width = technique.draws(spec, 3)[f"{technique.name}/0"].shape[1]
    draws, p = uniform(3, width), torch.tensor(0.6, dtype=DOUBLE)
    further = (p,) if isinstance(technique, AdaptiveAugment) else ()
    x = random(3, 2, 8, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: technique.transform(x, draws, *further).square(), x)


# -- play


def nets_of(nets):
    named = {name: dict(net.named_parameters()) for name, net in nets.items()}
    return Nets(nets, named, named_buffers(nets))


def seen(technique, nets, batch, calls, player="discriminator"):
    """What a discriminator is called on, of zeros, ones, … and so on."""

    def play(player, nets, batch):
        out = [nets["discriminator"](torch.full_like(batch["data"], k)) for k in range(calls)]
        return {"real_logits": torch.stack(out)}

    return technique.play(play)(player, nets, batch)["real_logits"]


def drawn(technique, batch, spec=SPEC):
    declared = technique.draws(spec, batch)
    return draw(declared, 0, "draws", DOUBLE) | {"data": torch.zeros(batch, *spec.shape)}


def test_each_call_has_a_draw_of_its_own_and_each_play_begins_anew():
    technique, nets = DiffAugment(), nets_of({"discriminator": nn.Identity()})
    batch = drawn(technique, 4) | {"data": torch.zeros(4, 3, 16, 16, dtype=DOUBLE)}
    for _ in range(2):
        found = seen(technique, nets, batch, CALLS)
        for k in range(CALLS):
            assert torch.equal(
                found[k], technique.transform(torch.full_like(batch["data"], k), batch[f"diff-augment/{k}"])
            )
    assert not torch.equal(found[0], found[1])


def test_more_calls_than_draws_are_told():
    technique = InstanceNoise()
    batch = drawn(technique, 2) | {"step": torch.tensor(1.0, dtype=DOUBLE)}
    with pytest.raises(BadInput, match=r"^instance-noise has no draws left: the model calls"):
        seen(technique, nets_of({"discriminator": nn.Identity()}), batch, CALLS + 1)


def test_augmentations_come_before_noise_and_penalties_see_neither(builtins):
    config = variant("mlp-gan", "non-saturating", ("instance-noise", "diff-augment"))
    data = Data(train=torch.rand(20, 1, 8, 8), test=torch.rand(2, 1, 8, 8))
    program = Program(config, builtins, data)
    game, *_ = program.bound({})
    batch = draw(program.draws(), 0, "draws", DOUBLE)
    batch |= {"data": data.train[:8].double(), "step": torch.tensor(1.0, dtype=DOUBLE)}
    nets = BoundNets(program.networks())
    out = game.play("discriminator", nets, batch)
    by_hand = {"real_logits": (0, batch["data"]), "fake_logits": (1, out["fake"])}
    for name, (call, x) in by_hand.items():
        x = DiffAugment().transform(x, batch[f"diff-augment/{call}"])
        close(out[name], nets["discriminator"](x + 0.1 * batch[f"instance-noise/{call}"]))
    assert torch.equal(nets.frozen["discriminator"](batch["data"]), nets["discriminator"](batch["data"]))


def test_the_generator_is_differentiated_through_the_transforms(builtins):
    config = variant("mlp-gan", "non-saturating", ("diff-augment",), {"mlp-gan": {"activation": "tanh"}})
    data = Data(train=torch.rand(20, 1, 8, 8), test=torch.rand(2, 1, 8, 8))
    program = Program(config, builtins, data)
    field = functional_field(program.bound({})[0], program.modules)
    state = program.initial(0, {})
    batch = draw(program.draws(), 0, "draws", DOUBLE) | {"data": data.train[:8].double()}
    h, direction = 1e-5, random(*state.joint["generator"].shape)

    def loss(offset):
        joint = state.joint | {"generator": state.joint["generator"] + offset * direction}
        return field(("generator",), joint, state.buffers, batch).losses["generator"]

    gradient = field(("generator",), state.joint, state.buffers, batch).gradients["generator"]
    slope = torch.dot(gradient, direction)
    assert slope.abs() > 1e-4
    close(slope, (loss(h) - loss(-h)) / (2 * h), 1e-7)


# -- instance noise


@pytest.mark.parametrize(
    ("technique", "deviations"),
    [
        (InstanceNoise(sigma=2.0, steps=4), [2.0, 1.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0]),
        (InstanceNoise(sigma=2.0).within(8), [2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25]),
        (InstanceNoise(sigma=2.0, anneal=False).within(8), [2.0] * 8),
    ],
)
def test_noise_falls_in_a_straight_line(technique, deviations):
    nets, batch = nets_of({"discriminator": nn.Identity()}), drawn(technique, 500)
    batch["data"] = batch["data"].double()
    for step, deviation in enumerate(deviations, start=1):
        batch["step"] = torch.tensor(float(step), dtype=DOUBLE)
        found = seen(technique, nets, batch, 2, player="generator")
        for k in range(2):
            close(found[k], k + deviation * batch[f"instance-noise/{k}"])
            close(found[k].std(), torch.tensor(deviation, dtype=DOUBLE), 0.01)
    assert not torch.equal(batch["instance-noise/0"], batch["instance-noise/1"])


def test_noise_stabilises_dirac_gan_as_published(builtins):
    """Mescheder et al. 2018, arXiv:1801.04406, lemma 3.2: f''(0) s^2 +- sqrt((f''(0) s^2)^2 - f'(0)^2)."""
    for sigma in (0.0, 0.5, 1.0):
        options = {
            "instance-noise": {"sigma": sigma, "anneal": False},
            "dirac-gan": {"theta": 0.0, "psi": 0.0},
        }
        data = create(builtins.get("dataset", "point").cls, {}).load(None)
        program = Program(
            variant("dirac-gan", "non-saturating", ("instance-noise",), options, batch=2), builtins, data
        )
        field = functional_field(program.bound({})[0], program.modules)
        state = program.initial(0, {})
        noise = torch.tensor([[1.0], [-1.0]], dtype=DOUBLE)  # of variance 1
        batch = dict.fromkeys(program.draws(), noise)
        batch |= {"data": torch.zeros(2, 1, dtype=DOUBLE), "step": torch.ones((), dtype=DOUBLE)}

        def ascent(point, field=field, state=state, batch=batch):
            joint = {
                player: torch.cat([value[None], flat[1:]])
                for value, (player, flat) in zip(point, sorted(state.joint.items()), strict=True)
            }
            gradients = field(tuple(joint), joint, state.buffers, batch).gradients
            return -torch.stack([gradients[player][0] for player in joint])

        jacobian = torch.func.jacrev(ascent)(torch.zeros(2, dtype=DOUBLE))
        found = torch.linalg.eigvals(jacobian)
        real = -0.25 * sigma**2
        expected = real + np.array([-1j, 1j]) * np.sqrt(0.25 - real**2)
        np.testing.assert_allclose(sorted(found.numpy(), key=np.imag), expected, atol=1e-12)


# -- adaptive augmentation


class Level(nn.Module):
    """Mean of an image."""

    def forward(self, x):
        return x.mean((1, 2, 3))[:, None]


LEVELS = (1.0, -1.0, 0.1, 0.2, 0.1)
"""Of real images: they look real, then they do not, then some do."""


@pytest.mark.parametrize("bound", [False, True], ids=["functional", "bound"])
@pytest.mark.parametrize("interval", [1, 3])
def test_p_follows_the_sign_of_real_logits(bound, interval):
    spec, count = DataSpec((1, 8, 8)), 4
    technique = AdaptiveAugment(target=0.2, images=48, interval=interval, start=0.25)
    modules = {"discriminator": Level(), **technique.networks(lambda spec: {}, spec)}
    modules = {name: net.to(DOUBLE) for name, net in modules.items()}
    nets = BoundNets(modules) if bound else nets_of(modules)

    def play(player, nets, batch):
        return {"real_logits": nets["discriminator"](batch["data"])}

    p, signs, path = 0.25, [], []
    for turn in range(16 * len(LEVELS)):
        data = random(count, 1, 8, 8, seed=turn) + LEVELS[turn // 16]
        draws = technique.draws(spec, count)
        batch = draw(draws, 0, f"turn{turn}", DOUBLE) | {"data": data}
        out = technique.play(play)("discriminator", nets, batch)
        shown = technique.transform(data, batch["adaptive-augment/0"], torch.tensor(p, dtype=DOUBLE))
        close(out["real_logits"], Level()(shown))
        signs += np.sign(Level()(shown).numpy()).tolist()
        if turn % interval == interval - 1:
            p = min(1.0, max(0.0, p + np.sign(np.mean(signs) - 0.2) * count * interval / 48))
            signs = []
        technique.play(play)("generator", nets, batch)  # which only looks
        path.append(p)
        close(nets["adaptive-augment"]().double(), torch.tensor(p, dtype=DOUBLE))
    assert (max(path), min(path)) == (1.0, 0.0)
    assert len(set(path[32:])) > 2


def test_p_begins_at_its_start(builtins):
    images = torch.rand(8, 1, 8, 8)
    config = variant("mlp-gan", "hinge", ("adaptive-augment",))
    program = Program(config, builtins, Data(train=images, test=images))
    assert program.initial(0, {}).buffers["adaptive-augment"]["p"] == 0
    assert "adaptive-augment" in program.initial(0, {}).buffers


# -- consistency


def judge():
    net = nn.Sequential(nn.Flatten(), nn.Linear(2 * 16 * 16, 3), nn.Tanh(), nn.Linear(3, 1)).to(DOUBLE)
    for i, parameter in enumerate(net.parameters()):
        parameter.data = random(*parameter.shape, seed=i) / 5
    return net


CHANGES = [(0, 0, 0), (1, -2, 1), (0, 2, 2), (1, 0, -2), (0, -1, 0)]
"""Whether flipped, and by how much moved: up to an eighth of 16 pixels."""
DRAWS = torch.tensor([[0.75 - 0.5 * f, centre(a, -2, 2), centre(b, -2, 2)] for f, a, b in CHANGES]).double()


def transformed(x, flips=True):
    images = []
    for image, (flip, down, right) in zip(x.numpy(), CHANGES, strict=True):
        image = image[:, :, ::-1] if flip and flips else image
        images.append(moved(image, down, right, mode="reflect"))
    return torch.from_numpy(np.stack(images))


def added(technique, net, batch, fake=None, player="discriminator"):
    objective = technique.objective(lambda player, nets, batch, out: torch.tensor(7.0, dtype=DOUBLE))
    return objective(player, nets_of({"discriminator": net}), batch, {"fake": fake}) - 7


@pytest.mark.parametrize("flips", [True, False])
def test_consistency_is_the_squared_difference(flips):
    net, x = judge(), random(5, 2, 16, 16)
    difference = net(x) - net(transformed(x, flips))
    expected = 3 * difference.square().mean()
    assert expected > 1e-3
    batch = {"data": x, "consistency/real": DRAWS}
    found = added(Consistency(weight=3.0, flips=flips), net, batch)
    close(found, expected)
    parameters = list(net.parameters())
    by_hand = torch.autograd.grad(expected, parameters)
    for a, b in zip(torch.autograd.grad(found, parameters), by_hand, strict=True):
        close(a, b)


def test_balanced_consistency_is_of_both_kinds():
    net, x, fake = judge(), random(5, 2, 16, 16), random(5, 2, 16, 16, seed=1)
    parts = [(net(y) - net(transformed(y))).square().mean() for y in (x, fake)]
    batch = {"data": x, "balanced-consistency/real": DRAWS, "balanced-consistency/fake": DRAWS}
    close(added(BalancedConsistency(real=3.0, fake=5.0), net, batch, fake), 3 * parts[0] + 5 * parts[1])
    batch["balanced-consistency/fake"] = DRAWS.flip(0)  # draws of their own
    other = added(BalancedConsistency(real=3.0, fake=5.0), net, batch, fake) - 3 * parts[0]
    assert (other - 5 * parts[1]).abs() > 1e-4


def test_consistency_is_the_discriminators_and_nothing_without_a_change():
    net, x = judge(), random(5, 2, 16, 16)
    for technique in (Consistency(shift=0, flips=False), BalancedConsistency(shift=0, flips=False)):
        batch = {"data": x} | dict.fromkeys(technique.draws(SPEC, 5), DRAWS)
        assert added(technique, net, batch, x).item() == 0
        assert added(technique, net, {}, player="generator").item() == 0


# -- what they are for

IMAGE_TECHNIQUES = [DiffAugment(), AdaptiveAugment(), Consistency(), BalancedConsistency()]


@pytest.mark.parametrize("technique", IMAGE_TECHNIQUES, ids=lambda t: t.name)
def test_points_are_not_images(technique):
    with pytest.raises(BadInput, match=f"^{technique.name} transforms images, not samples of shape"):
        technique.draws(DataSpec((2,)), 8)
    assert all(what.shape[0] == 8 for what in technique.draws(SPEC, 8).values())


def test_only_squares_are_turned():
    with pytest.raises(BadInput, match=r"^adaptive-augment turns square images, not 8 x 16: leave out rot"):
        AdaptiveAugment().draws(DataSpec((1, 8, 16)), 4)
    assert AdaptiveAugment(transforms=("flip",)).draws(DataSpec((1, 8, 16)), 4)


@pytest.mark.parametrize("technique", [*IMAGE_TECHNIQUES, InstanceNoise()], ids=lambda t: t.name)
def test_augmentations_fit_gans_with_one_discriminator(technique):
    assert technique.fits(MLPGAN(), Hinge()) is None
    assert "mlp-vae" in technique.fits(MLPVAE(), Hinge())
    assert "'discriminator'" in technique.fits(CycleGAN(), Hinge())


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (InstanceNoise, {"sigma": -0.1}),
        (InstanceNoise, {"steps": -1}),
        (DiffAugment, {"policy": []}),
        (DiffAugment, {"policy": ["flip"]}),
        (AdaptiveAugment, {"transforms": []}),
        (AdaptiveAugment, {"start": 1.5}),
        (AdaptiveAugment, {"images": 0}),
        (Consistency, {"weight": -1}),
        (BalancedConsistency, {"shift": -1}),
    ],
)
def test_senseless_options_are_refused(cls, options):
    with pytest.raises(BadInput):
        create(cls, options, cls.name)


# -- stacks

STACKS = [
    ("instance-noise",),
    ("diff-augment",),
    ("adaptive-augment",),
    ("consistency",),
    ("balanced-consistency",),
    ("adaptive-augment", "spectral-norm", "r1", "instance-noise", "balanced-consistency", "packing"),
]
OPTIONS = {
    "mlp-gan": {"hidden": [8, 8], "discriminator_turns": 2},
    "dcgan": {"width": 4, "latent": 4, "discriminator_turns": 2},
    "adaptive-augment": {"start": 0.5, "images": 64, "interval": 2, "transforms": list(ALL_KINDS)},
}


def check_a_stack_is_its_runs(catalogue, data, model, names):
    made, plain = (
        Program(variant(model, "non-saturating", chosen, OPTIONS, steps=6), catalogue, data)
        for chosen in (names, ())
    )
    runs, device = Runs((0, 1), ({}, {})), torch.device("cpu")
    looped, mapped = Looped(made, runs, data, device), Mapped(made, runs, data, device, Eager())
    rows, mapped_rows = looped.advance(3), mapped.advance(3)
    torch.testing.assert_close(rows, mapped_rows, rtol=1e-10, atol=1e-10, equal_nan=True)
    torch.testing.assert_close(looped.state(), mapped.state(), rtol=1e-10, atol=1e-10)
    assert looped.died() == [0, 0]
    without = Looped(plain, runs, data, device)
    without.advance(3)
    generators = [trainer.state().joint["generator"] for trainer in (looped, without)]
    assert (generators[0] - generators[1]).norm() > 1e-9  # the technique is there
    return looped.state()


def test_a_noisy_stack_is_its_runs(builtins):
    data = create(builtins.get("dataset", "ring").cls, {"size": 100}).load(None)
    check_a_stack_is_its_runs(builtins, data, "mlp-gan", ("instance-noise",))


@pytest.mark.parametrize("model", ["mlp-gan", "dcgan"])
@pytest.mark.parametrize("names", STACKS, ids="+".join)
def test_a_stack_of_images_is_its_runs(builtins, names, model):
    images = torch.rand((40, 1, 28, 28), generator=stream("cpu", 0, "images")) * 2 - 1
    state = check_a_stack_is_its_runs(builtins, Data(train=images, test=images[:2]), model, names)
    if "adaptive-augment" in names:
        assert (state.buffers["adaptive-augment"]["p"] != 0.5).all()


def test_noise_as_a_swept_option(builtins):
    data = create(builtins.get("dataset", "ring").cls, {"size": 100}).load(None)
    device, sigmas = torch.device("cpu"), (0.05, 0.5)
    program = Program(variant("mlp-gan", "non-saturating", ("instance-noise",), OPTIONS), builtins, data)
    values = tuple({"instance-noise.sigma": sigma} for sigma in sigmas)
    swept = Mapped(program, Runs((3, 3), values), data, device, Eager())
    rows = swept.advance(3)
    for run, sigma in enumerate(sigmas):
        options = OPTIONS | {"instance-noise": {"sigma": sigma}}
        alone = Program(variant("mlp-gan", "non-saturating", ("instance-noise",), options), builtins, data)
        torch.testing.assert_close(
            Looped(alone, Runs((3,), ({},)), data, device).advance(3)[:, 0], rows[:, run], equal_nan=True
        )
    assert (rows[:, 0] - rows[:, 1]).nan_to_num().abs().max() > 1e-3
