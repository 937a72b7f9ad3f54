"""Local and global convergence on the Dirac-GAN, against Mescheder et al. 2018 (arXiv:1801.04406)."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from toys import variant

from ganbench.assemble import Program
from ganbench.draws import CHUNK
from ganbench.mapping import Looped, Runs
from ganbench.plugins import discover
from ganbench_builtin.techniques._penalty import EPSILON

CPU = torch.device("cpu")
STEP_SIZE = 0.2
STEPS = 500


@pytest.fixture(scope="module")
def world():
    catalogue = discover()
    return catalogue, catalogue.get("dataset", "point").cls().load(None)


def program(world, loss, techniques=None, model=None, lr=STEP_SIZE):
    """`techniques`: name -> options."""
    techniques = techniques or {}
    config = variant(
        "dirac-gan",
        loss,
        tuple(techniques),
        techniques | {"dirac-gan": model or {}},
        {"name": "sgd", "lr": lr},
        batch=4,
    )
    catalogue, data = world
    return Program(config, catalogue, data)


# -- the field at the equilibrium


def ascent_field(world, loss, techniques=None):
    """(theta, psi) -> the direction in which the players move: a step of size 1 minus where it began."""
    made = program(world, loss, techniques, lr=1.0)
    step, start = made.step({}), made.initial(0, {})
    batch = {
        "data": torch.zeros(4, 1, dtype=torch.float64),
        "noise": torch.zeros(4, 0, dtype=torch.float64),
        "wgan-gp/mix": torch.linspace(0, 1, 4, dtype=torch.float64),
    }

    def field(point):
        joint = {
            player: torch.cat([point[i : i + 1], flat[1:]])
            for i, (player, flat) in enumerate(start.joint.items())
        }
        moved, _ = step(start._replace(joint=joint), [batch], 1)
        return torch.stack([moved.joint[player][0] - joint[player][0] for player in joint])

    assert list(start.joint) == ["generator", "discriminator"]
    return field


def jacobian(world, loss, techniques=None, at=(0.0, 0.0)):
    return torch.func.jacrev(ascent_field(world, loss, techniques))(torch.tensor(at, dtype=torch.float64))


def r1(gamma):
    """Roots of x^2 + gamma x + 1/4."""
    root = cmath.sqrt(gamma**2 / 4 - 0.25)
    return (-gamma / 2 + root, -gamma / 2 - root)


EIGENVALUES = {
    "minimax": ("minimax", {}, (0.5j, -0.5j)),
    "non-saturating": ("non-saturating", {}, (0.5j, -0.5j)),
    "wasserstein": ("wasserstein", {}, (1j, -1j)),
    "r1 .3": ("non-saturating", {"r1": {"gamma": 0.3}}, r1(0.3)),
    "r1 .3 minimax": ("minimax", {"r1": {"gamma": 0.3}}, r1(0.3)),
    "r1 1": ("non-saturating", {"r1": {"gamma": 1.0}}, (-0.5, -0.5)),
    "r1 3": ("non-saturating", {"r1": {"gamma": 3.0}}, r1(3.0)),
}


@pytest.mark.parametrize(("loss", "techniques", "expected"), EIGENVALUES.values(), ids=EIGENVALUES)
def test_eigenvalues_at_the_equilibrium(world, loss, techniques, expected):
    found = jacobian(world, loss, techniques)
    # a double root moves with the square root of rounding, the polynomial does not
    assert torch.trace(found).item() == pytest.approx(sum(expected).real, abs=1e-6)
    assert torch.linalg.det(found).item() == pytest.approx(math.prod(expected).real, abs=1e-6)
    eigenvalues = sorted(torch.linalg.eigvals(found).tolist(), key=lambda z: z.imag)
    tolerance = 1e-6 if expected[0] != expected[1] else 1e-5
    for z, w in zip(eigenvalues, sorted(expected, key=lambda z: complex(z).imag), strict=True):
        if abs(complex(w).imag) > 0 or expected[0] == expected[1]:
            assert abs(z - w) < tolerance
    if all(complex(w).imag == 0 for w in expected):
        reals = sorted(z.real for z in eigenvalues)
        assert reals == pytest.approx(sorted(complex(w).real for w in expected), abs=tolerance)


def test_r1_with_gamma_03_is_as_listed():
    assert r1(0.3)[0] == pytest.approx(complex(-0.15, 0.477), abs=5e-4)
    assert r1(1.0) == (-0.5, -0.5)


@pytest.mark.parametrize("loss", ["minimax", "non-saturating", "wasserstein", "least-squares", "hinge"])
def test_the_equilibrium_is_one(world, loss):
    field = ascent_field(world, loss)
    at_rest = field(torch.zeros(2, dtype=torch.float64))
    assert at_rest.abs().max() < 1e-15
    assert field(torch.tensor([0.3, 0.2], dtype=torch.float64)).abs().min() > 1e-3


@pytest.mark.parametrize(
    ("loss", "techniques"),
    [
        ("minimax", {}),
        ("non-saturating", {}),
        ("wasserstein", {}),
        ("non-saturating", {"r1": {"gamma": 0.7}}),
        ("wasserstein", {"wgan-gp": {"weight": 0.3}}),
    ],
)
def test_the_field_is_the_papers(world, loss, techniques):
    theta, psi = 0.6, -1.3
    logit = psi * theta
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    up = {"minimax": sigmoid(logit), "non-saturating": sigmoid(-logit), "wasserstein": 1.0}[loss]
    down = {"wasserstein": 1.0}.get(loss, sigmoid(logit))
    to_psi = -down * theta
    if "r1" in techniques:
        to_psi -= 0.7 * psi
    if "wgan-gp" in techniques:
        norm = math.sqrt(psi**2 + EPSILON)
        to_psi -= 2 * 0.3 * (norm - 1) * psi / norm
    # minimax: the generator lowers log(1 - D), so it moves with sigma(logit) psi
    expected = torch.tensor([up * psi, to_psi], dtype=torch.float64)
    found = ascent_field(world, loss, techniques)(torch.tensor([theta, psi], dtype=torch.float64))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_wgan_gp_at_the_equilibrium_repels(world):
    """|psi| has no derivative at 0; with EPSILON under the root the penalty there is a steep hill."""
    found = jacobian(world, "wasserstein", {"wgan-gp": {"weight": 10.0}})
    steepness = 2 * 10 * (1 - math.sqrt(EPSILON)) / math.sqrt(EPSILON)
    assert found[1, 1].item() == pytest.approx(steepness, rel=1e-9)


# -- simulations


def distances(world, loss, techniques=None, model=None):
    """Distance from the equilibrium after each of STEPS steps; step 0 is (1, 1)."""
    made = program(world, loss, techniques, model)
    looped = Looped(made, Runs((0,), ({},)), world[1], CPU)
    path = [math.sqrt(2)]
    for _ in range(STEPS):
        looped.advance(1)
        path.append(math.hypot(*(float(flat[0, 0]) for flat in looped.state().joint.values())))
    assert looped.died() == [0]
    assert looped.step == STEPS > CHUNK
    return path


def rate(path, first=400, last=STEPS):
    """Mean factor a step."""
    return (path[last] / path[first]) ** (1 / (last - first))


@pytest.mark.parametrize("gamma", [0.3, 1.0])
@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_r1_converges_at_the_rate_of_its_eigenvalues(world, loss, gamma):
    path = distances(world, loss, {"r1": {"gamma": gamma}})
    slowest = max(abs(1 + STEP_SIZE * eigenvalue) for eigenvalue in r1(gamma))
    assert path[-1] < 1e-5
    assert rate(path) == pytest.approx(slowest, abs=5e-3)  # a double root: n x^n


@pytest.mark.parametrize(
    ("loss", "techniques"),
    [
        ("minimax", {}),
        ("wasserstein", {}),
        ("wasserstein", {"weight-clipping": {"limit": 1.0}}),
        ("wasserstein", {"weight-clipping": {"limit": 0.1}}),
        ("wasserstein", {"wgan-gp": {"weight": 1.0}}),
        ("wasserstein", {"wgan-gp": {"weight": 0.3}}),
        ("wasserstein", {"wgan-gp": {"weight": 1.0, "target": 0.3}}),
    ],
    ids=str,
)
def test_these_do_not_converge(world, loss, techniques):
    path = distances(world, loss, techniques)
    assert max(path[-100:]) > 0.1  # the smallest of them, which clips at .1, circles at .117
    assert max(path[-100:]) > 0.5 * max(path[200:300])  # nor do they shrink


def test_a_penalty_too_steep_for_the_step_diverges(world):
    """The penalty contracts |psi| - 1 by 1 - 2 h weight a step: with the default weight by -3."""
    looped = Looped(program(world, "wasserstein", {"wgan-gp": {}}), Runs((0,), ({},)), world[1], CPU)
    while looped.step < STEPS:
        looped.advance(1)
    assert 0 < looped.died()[0] < STEPS
    assert all(flat.isfinite().all() for flat in looped.state().joint.values())


def test_plain_wasserstein_spirals_out_exactly(world):
    path = distances(world, "wasserstein")
    growth = math.sqrt(1 + STEP_SIZE**2)
    assert path[-1] == pytest.approx(math.sqrt(2) * growth**STEPS, rel=1e-9)


def test_clipping_keeps_the_critic_within_its_limit(world):
    made = program(world, "wasserstein", {"weight-clipping": {"limit": 0.3}})
    looped = Looped(made, Runs((0,), ({},)), world[1], CPU)
    seen = []
    for _ in range(60):
        looped.advance(1)
        seen.append(abs(float(looped.state().joint["discriminator"][0, 0])))
    assert max(seen) == pytest.approx(0.3, abs=1e-12)


def test_non_saturating_converges_slowly_not_linearly(world):
    """In continuous time as 1 / sqrt(t); steps of this size end on a small orbit (|1 + h i / 2| > 1)."""
    path = distances(world, "non-saturating")
    assert path[50] < 0.7 * path[0]
    assert path[100] < 0.95 * path[50]
    assert path[200] < 0.95 * path[100]
    assert path[300] < path[200]
    assert rate(path) > 0.999
    assert 0.5 < path[-1] < path[200]


def test_alternating_wasserstein_stays_on_its_orbit(world):
    """Alternating steps keep the area (lemma 2.3 of the paper): neither in nor out."""
    path = distances(world, "wasserstein", model={"alternating": True})
    assert min(path[-100:]) > 0.5
    assert max(path[-100:]) < 3
