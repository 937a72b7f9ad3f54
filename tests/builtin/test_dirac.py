"""Local and global convergence on the Dirac-GAN, against Mescheder et al. 2018 (arXiv:1801.04406)."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch
from toys import variant

from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Runs
from ganbench.game.draws import CHUNK
from ganbench.plugins.discovery import discover
from ganbench_builtin.techniques._gradient_penalty import EPSILON

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
    "r2 .3": ("non-saturating", {"r2": {"gamma": 0.3}}, r1(0.3)),
    "r2 1": ("minimax", {"r2": {"gamma": 1.0}}, (-0.5, -0.5)),
    "r1-r2 .3": ("non-saturating", {"r1-r2": {"gamma": 0.3}}, r1(0.6)),
    "consensus .3": ("non-saturating", {"consensus": {"gamma": 0.3}}, (-0.075 + 0.5j, -0.075 - 0.5j)),
    "consensus 1": ("non-saturating", {"consensus": {"gamma": 1.0}}, (-0.25 + 0.5j, -0.25 - 0.5j)),
    "consensus 1 minimax": ("minimax", {"consensus": {"gamma": 1.0}}, (-0.25 + 0.5j, -0.25 - 0.5j)),
    # not in the paper; v = J x with J^T = -J and J^T J = 1/4: A^T v = x / 4, and v(x - v / 2) = v + x / 8
    "symplectic": ("non-saturating", {"symplectic": {}}, (-0.25 + 0.5j, -0.25 - 0.5j)),
    "extragradient": (
        "non-saturating",
        {"extragradient": {"step": 0.5}},
        (-0.125 + 0.5j, -0.125 - 0.5j),
    ),
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


@pytest.mark.parametrize("penalty", ["r1", "r2"])
@pytest.mark.parametrize("gamma", [0.3, 1.0])
@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_r1_and_r2_converge_at_the_rate_of_their_eigenvalues(world, loss, gamma, penalty):
    path = distances(world, loss, {penalty: {"gamma": gamma}})
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


def farthest_at_the_end(world, technique, seeds=20):
    """The largest distance from the equilibrium in the last 20 steps: the median over runs."""
    made = program(world, "minimax", {"instance-noise": technique})
    looped = Looped(made, Runs(tuple(range(seeds)), ({},) * seeds), world[1], CPU)
    ends = []
    for step in range(STEPS):
        looped.advance(1)
        if step >= STEPS - 20:
            ends.append(sum(flat[:, 0] ** 2 for flat in looped.state().joint.values()).sqrt())
    return torch.stack(ends).amax(0).median()


@pytest.mark.slow
def test_instance_noise_converges_to_its_floor(world):
    """Where the plain game circles, noise draws it in, down to what noise is left.

    Single runs end anywhere between .05 and 1.1, so the median of 20 is compared.
    """
    assert farthest_at_the_end(world, {"sigma": 0.5, "anneal": False}) < 0.5
    assert farthest_at_the_end(world, {"sigma": 1.0, "steps": STEPS}) < 0.7
    assert min(distances(world, "minimax")[-100:]) > 1


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


@pytest.mark.parametrize("gamma", [0.3, 1.0])
@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_consensus_converges_at_the_rate_of_its_eigenvalues(world, loss, gamma):
    path = distances(world, loss, {"consensus": {"gamma": gamma}})
    assert path[-1] < 0.1 * path[0]
    assert rate(path) == pytest.approx(abs(1 + STEP_SIZE * complex(-gamma / 4, 0.5)), abs=2e-3)


# -- methods on the bilinear game: with the Wasserstein loss theta lowers -psi theta, and psi lowers psi theta

TURN = np.array([[0.0, -1.0], [1.0, 0.0]])
"""v = TURN (theta, psi)."""
START = np.array([1.0, 1.0])
LAST = 120


def walk(world, techniques, lr=STEP_SIZE, alternating=False, steps=LAST):
    """The points (theta, psi) of a run, and those that metrics would see: steps + 1 x 2 each."""
    made = program(world, "wasserstein", techniques, {"alternating": alternating}, lr=lr)
    looped = Looped(made, Runs((0,), ({},)), world[1], CPU)
    points, seen = [START], [START]
    for _ in range(steps):
        looped.advance(1)
        state = looped.state()
        for joint, path in (
            (state.joint, points),
            (made.rule({}).evaluated(state.joint, state.memory), seen),
        ):
            path.append(np.array([float(joint[player][0, 0]) for player in ("generator", "discriminator")]))
    return np.array(points), np.array(seen)


def plain(h):
    def step(x, t):
        return x - h * TURN @ x

    return step


def extragradient(h, ahead):
    return lambda x, t: x - h * TURN @ (x - ahead * TURN @ x)


def pulled(h, weight):
    """Consensus and symplectic adjustment are the same here: J^T v = A^T v = J^T J x = x."""
    return lambda x, t: x - h * (TURN @ x + weight * x)


def optimistic(h):
    before = [np.zeros(2)]

    def step(x, t):
        v = TURN @ x
        x = x - 2 * h * v + h * before[0]
        before[0] = v
        return x

    return step


def extra(h):
    anchor = [START]

    def step(x, t):
        if t % 2:
            anchor[0] = x
            return x - h * TURN @ x
        return anchor[0] - h * TURN @ x

    return step


def lookahead(h, k, alpha):
    slow = [START]

    def step(x, t):
        x = x - h * TURN @ x
        if t % k == 0:
            x = slow[0] = slow[0] + alpha * (x - slow[0])
        return x

    return step


def heavy_ball(h, beta, alternating):
    move = [np.zeros(2)]

    def step(x, t):
        x, v = x.copy(), TURN @ x
        for i in (1, 0):  # the discriminator moves first
            v = TURN @ x if alternating else v
            move[0][i] = beta * move[0][i] - h * v[i]
            x[i] += move[0][i]
        return x

    return step


def foreseen(h, k, lr):
    """psi_k = psi - k lr theta, so that the generator lowers -psi theta + k lr theta^2."""
    return lambda x, t: x - h * (TURN @ x + np.array([2 * k * lr * x[0], 0.0]))


def conjugate(h, formula, bound=0.5, least=0.0):
    """Directions of each player's own; both are one number."""
    before, direction = np.zeros(2), np.zeros(2)

    def step(x, t):
        g = TURN @ x
        for i in range(2):
            y = g[i] - before[i]
            above = g[i] * (g[i] if formula in ("fletcher-reeves", "dai-yuan") else y)
            below = y * direction[i] if formula in ("hestenes-stiefel", "dai-yuan") else before[i] ** 2
            beta = min(above / below, bound) if below else 0.0
            direction[i] = -g[i] + max(beta, least) * direction[i]
        before[:] = g
        return x + h * direction

    return step


def annealed(h, total):
    return lambda x, t: x - h * (1 - (t - 1) / total) * TURN @ x


H = STEP_SIZE
METHODS = {
    "extragradient": ({"extragradient": {"step": H}}, extragradient(H, H)),
    "extragradient, short": ({"extragradient": {"step": 0.05}}, extragradient(H, 0.05)),
    "consensus": ({"consensus": {"gamma": 0.7}}, pulled(H, 0.7)),
    "symplectic": ({"symplectic": {"strength": 0.7}}, pulled(H, 0.7)),
    "symplectic, not aligned": ({"symplectic": {"align": False}}, pulled(H, 1.0)),
    "optimistic": ({"optimistic-adam": {}}, optimistic(H)),
    "extra": ({"extra-adam": {}}, extra(H)),
    "lookahead": ({"lookahead": {}}, lookahead(H, 5, 0.5)),
    "lookahead 7": ({"lookahead": {"k": 7, "alpha": 0.3}}, lookahead(H, 7, 0.3)),
    "negative momentum": ({"negative-momentum": {}}, heavy_ball(H, -0.5, alternating=True)),
    "negative momentum, together": ({"negative-momentum": {}}, heavy_ball(H, -0.5, alternating=False)),
    "unrolled": ({"unrolled": {"steps": 3, "lr": 0.1}}, foreseen(H, 3, 0.1)),
    "unrolled 0": ({"unrolled": {"steps": 0}}, plain(H)),
    "schedule": ({"schedule": {}}, annealed(H, 1000)),
    **{
        formula: ({"conjugate-gradient": {"beta": formula}}, conjugate(H, formula))
        for formula in ("fletcher-reeves", "polak-ribiere", "hestenes-stiefel", "dai-yuan")
    },
    "polak-ribiere, unclipped below": (
        {"conjugate-gradient": {"beta": "polak-ribiere", "nonnegative": False, "bound": 0.2}},
        conjugate(H, "polak-ribiere", 0.2, -np.inf),
    ),
}


@pytest.mark.parametrize(("name", "techniques", "step"), [(n, *method) for n, method in METHODS.items()])
def test_iterates_are_those_of_linear_algebra(world, name, techniques, step):
    points, _ = walk(world, techniques, alternating=name == "negative momentum")
    x = START
    for t in range(1, LAST + 1):
        x = step(x, t)
        np.testing.assert_allclose(points[t], x, rtol=1e-11, atol=1e-13)


def growth(points, first=60, last=LAST):
    """Mean factor a step, late in a run."""
    norms = np.linalg.norm(points, axis=1)
    return (norms[last] / norms[first]) ** (1 / (last - first))


def radius(*coefficients):
    """Largest modulus of a polynomial's roots."""
    return max(abs(np.roots(coefficients)))


@pytest.mark.parametrize("h", [0.05, 0.2, 0.6])
def test_extragradient_converges_at_its_spectral_radius(world, h):
    """x - h J (x - h J x) with J^2 = -1 is a rotation times sqrt((1 - h^2)^2 + h^2)."""
    expected = math.sqrt((1 - h * h) ** 2 + h * h)
    assert expected < 1
    points, _ = walk(world, {"extragradient": {"step": h}}, lr=h)
    assert growth(points, first=0) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("gamma", [0.2, 1.0])
def test_consensus_converges_at_its_spectral_radius(world, gamma):
    points, _ = walk(world, {"consensus": {"gamma": gamma}})
    assert growth(points, first=0) == pytest.approx(math.hypot(1 - H * gamma, H), rel=1e-10)
    assert growth(points) < 1


def test_consensus_diverges_beyond_the_step_that_it_names(world):
    """step < 2 gamma / (1 + gamma^2)"""
    limit = 2 * 10 / (1 + 10**2)
    assert growth(walk(world, {"consensus": {}}, lr=0.99 * limit)[0]) < 1
    assert growth(walk(world, {"consensus": {}}, lr=1.01 * limit)[0]) > 1


def test_optimism_converges_at_its_spectral_radius(world):
    """In z = theta + i psi: z' = (1 - 2 h i) z + h i z_before."""
    expected = radius(1, -(1 - 2j * H), -1j * H)
    assert expected < 1
    assert growth(walk(world, {"optimistic-adam": {}})[0]) == pytest.approx(expected, rel=1e-9)


def test_lookahead_converges_at_its_spectral_radius(world):
    points, seen = walk(world, {"lookahead": {}})
    expected = abs(0.5 + 0.5 * (1 - 1j * H) ** 5) ** (1 / 5)
    assert expected < 1
    assert growth(points, first=0) == pytest.approx(expected, rel=1e-10)
    np.testing.assert_array_equal(seen[5:10], np.tile(points[5], (5, 1)))  # between synchronisations


def test_extra_adam_around_sgd_is_extragradient(world):
    """Two steps make one of extragradient; metrics never see where it extrapolates to."""
    points, seen = walk(world, {"extra-adam": {}})
    whole, _ = walk(world, {"extragradient": {"step": H}}, steps=LAST // 2)
    np.testing.assert_allclose(points[::2], whole, rtol=1e-12)
    np.testing.assert_array_equal(seen[::2], points[::2])
    np.testing.assert_array_equal(seen[1::2], points[:-1:2])
    assert np.linalg.norm(points[1::2], axis=1).min() > 0
    assert not np.allclose(seen[1::2], points[1::2], rtol=1e-3)


@pytest.mark.parametrize("h", [0.1, 0.2, 0.5])
def test_negative_momentum_converges_where_turns_alternate(world, h):
    """As in Gidel et al. 2019 (arXiv:1807.04740), and only there; without momentum neither does."""
    move_psi = np.array([-h, 0, 0, -0.5])  # of (theta, psi, their last moves)
    psi = np.array([0, 1, 0, 0]) + move_psi
    move_theta = h * psi + np.array([0, 0, -0.5, 0])
    matrix = np.stack([np.array([1, 0, 0, 0]) + move_theta, psi, move_theta, move_psi])
    expected = max(abs(np.linalg.eigvals(matrix)))
    assert expected < 1
    alternating, _ = walk(world, {"negative-momentum": {}}, lr=h, alternating=True, steps=500)
    together, _ = walk(world, {"negative-momentum": {}}, lr=h)
    assert growth(alternating, 100, 500) == pytest.approx(expected, abs=1e-3)
    assert growth(together) > 1


def test_unrolling_damps(world):
    """x'' matrix [[1 - 2 h k lr, h], [-h, 1]]: without unrolling it grows."""
    points, _ = walk(world, {"unrolled": {"steps": 5, "lr": 0.1}})
    matrix = np.array([[1 - 2 * H * 5 * 0.1, H], [-H, 1.0]])
    assert growth(points) == pytest.approx(max(abs(np.linalg.eigvals(matrix))), abs=5e-3)
    assert growth(points) < 1 < growth(walk(world, {})[0])
