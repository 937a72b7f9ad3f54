"""Metrics of samples against other people's implementations, on random inputs and on degenerate ones.

Some of these are in the extra `test-oracles`; tests of what is not installed are skipped.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import sklearn.cluster
import sklearn.metrics.pairwise
import sklearn.neighbors
import torch

from ganbench.components.data import Data
from ganbench.components.kinds import Evaluation
from ganbench_builtin.metrics.density_coverage import DensityCoverage
from ganbench_builtin.metrics.diversity import Diversity
from ganbench_builtin.metrics.energy import EnergyDistance
from ganbench_builtin.metrics.fid import Fid
from ganbench_builtin.metrics.inception_score import InceptionScore
from ganbench_builtin.metrics.kid import Kid
from ganbench_builtin.metrics.ndb import Ndb
from ganbench_builtin.metrics.precision_recall import PrecisionRecall
from ganbench_builtin.metrics.sliced_wasserstein import SlicedWasserstein
from ganbench_builtin.metrics.vendi import Vendi


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def flatten(extractor, samples):
    return samples.flatten(1).double()


def measured(metric, samples, real, features=flatten, seed=0, **more):
    generator, data = torch.Generator().manual_seed(seed), Data(real, real, classes=10)
    evaluation = Evaluation(samples, data, lambda n: real, features, generator, {}, **more)
    return metric.measure(evaluation)


def mixed(n, d, seed):
    """Points about ten places, as a classifier's features are."""
    places = 3 * normal(10, d, seed=99)
    return places[torch.arange(n) % 10] + normal(n, d, seed=seed)


REAL = {d: mixed(120, d, 0) for d in (2, 16, 64)}
SIDES = {
    f"{name}, d = {d}": (samples, real)
    for d, real in REAL.items()
    for name, samples in {
        "equal distributions": mixed(120, d, 1),
        "shifted": mixed(120, d, 1) + 0.5,
        "wide": 3 * normal(120, d, seed=2),
        "lost modes": mixed(1200, d, 1)[torch.arange(1200) % 10 < 3][:120],
        "point mass": torch.full((120, d), 0.3, dtype=torch.float64),
        "a real one": real[:1].expand(120, d),
        "two points": torch.stack([real[0], real[0] + 1]).repeat(60, 1),
        "far away": mixed(120, d, 1) + 1000,
        "memorised": real.clone(),
        "half memorised": torch.cat([real[:60], mixed(60, d, 1)]),
    }.items()
}
sides = pytest.mark.parametrize(("samples", "real"), SIDES.values(), ids=SIDES)


# -- torch-fidelity, from images to figures


def images(n, seed, low=0, high=256):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (n, 3, 8, 8), generator=generator, dtype=torch.uint8)


IMAGES = {
    "random": images(90, 1),
    "dark": images(90, 2, high=60),
    "constant": torch.full((90, 3, 8, 8), 128, dtype=torch.uint8),
    "one of two": images(2, 4)[torch.arange(90) % 2],
    "memorised": images(90, 0),
}


@pytest.fixture(scope="module")
def net():
    """A small fixed network: images -> 12 features and 10 logits."""
    first, last = normal(3 * 8 * 8, 12, seed=5) / 8, normal(12, 10, seed=6)
    return lambda x: (hidden := (x.flatten(1).double() / 127.5 - 1) @ first, hidden.relu() @ last)


@pytest.fixture(scope="module")
def fidelity(net):
    """torch-fidelity's own command, from images on, with that network."""
    torch_fidelity = pytest.importorskip("torch_fidelity")
    registry = pytest.importorskip("torch_fidelity.registry").FEATURE_EXTRACTORS_REGISTRY

    class Small(torch_fidelity.FeatureExtractorBase):
        def __init__(self, name, features_list, **_):
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list():
            return "features", "logits"

        @staticmethod
        def get_default_feature_layer_for_metric(metric):
            return "logits" if metric == "isc" else "features"

        def forward(self, x):
            named = dict(zip(("features", "logits"), net(x), strict=True))
            return tuple(named[name] for name in self.features_list)

    torch_fidelity.register_feature_extractor("ganbench-small", Small)

    def figures(samples, real, **options):
        common = {"cuda": False, "cache": False, "verbose": False, "save_cpu_ram": True}
        with torch.random.fork_rng(devices=[]):
            return torch_fidelity.calculate_metrics(
                input1=Rows(samples),
                input2=Rows(real),
                feature_extractor="ganbench-small",
                **common,
                **options,
            )

    yield figures
    del registry["ganbench-small"]


class Rows(torch.utils.data.Dataset):
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


@pytest.mark.parametrize("name", IMAGES)
def test_torch_fidelity_end_to_end(fidelity, net, name):
    samples, real = IMAGES[name], images(90, 0)
    subsets = {"kid_subsets": 4, "kid_subset_size": 30}
    theirs = fidelity(samples, real, fid=True, kid=True, prc=True, isc=True, **subsets, isc_splits=1)

    def features(extractor, x):
        return net(x)[0]

    def probabilities(extractor, x):
        return net(x)[1].softmax(1)

    def ours(metric):
        more = {"features": features, "probabilities": probabilities}
        return measured(metric, samples.float(), real.float(), **more)

    fid = pytest.approx(theirs["frechet_inception_distance"], rel=1e-6, abs=1e-9)
    assert ours(Fid())["fid"] == fid
    kid = pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)
    assert ours(Kid(subsets=4, subset_size=30))["kid"] == kid
    found = ours(PrecisionRecall(k=3))
    assert found["precision"] == pytest.approx(theirs["precision"], rel=1e-6)
    assert found["recall"] == pytest.approx(theirs["recall"], rel=1e-6)
    score = ours(InceptionScore())["inception-score"]
    assert score == pytest.approx(theirs["inception_score_mean"], rel=1e-6)


def test_torch_fidelitys_splits_of_the_inception_score(fidelity, net):
    samples = images(95, 1)
    theirs = fidelity(samples, samples, isc=True, isc_splits=5, samples_shuffle=False)
    probabilities = net(samples)[1].softmax(1)
    more = {"probabilities": lambda extractor, x: probabilities}
    ours = measured(InceptionScore(splits=5), samples.float(), samples.float(), **more)
    assert ours["inception-score"] == pytest.approx(theirs["inception_score_mean"], rel=1e-6)


# -- torch-fidelity's functions of features


@sides
def test_kid_of_all_is_torch_fidelitys_of_one_subset(samples, real):
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    whole = {"kid_subsets": 1, "kid_subset_size": len(real), "verbose": False}
    for ours, theirs in [
        (Kid(), {"kid_kernel": "poly"}),
        (Kid(kernel="gaussian", bandwidth=2.0), {"kid_kernel": "rbf", "kid_kernel_rbf_sigma": 2.0}),
    ]:
        expected = kid.kid_features_to_metric(samples, real, **theirs, **whole)[kid.KEY_METRIC_KID_MEAN]
        assert measured(ours, samples, real)["kid"] == pytest.approx(expected, rel=1e-6, abs=1e-12)


@sides
def test_fid_is_torch_fidelitys(samples, real):
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    statistics = [fid.fid_features_to_statistics(side) for side in (samples, real)]
    expected = fid.fid_statistics_to_metric(*statistics, verbose=False)[fid.KEY_METRIC_FID]
    assert measured(Fid(), samples, real)["fid"] == pytest.approx(max(0, expected), rel=1e-12)


@sides
@pytest.mark.parametrize("k", [1, 5])
def test_precision_and_recall_are_torch_fidelitys(samples, real, k):
    prc = pytest.importorskip("torch_fidelity.metric_prc")
    theirs = prc.prc_features_to_metric(samples, real, prc_neighborhood=k, verbose=False)
    found = measured(PrecisionRecall(k=k), samples, real)
    assert found == pytest.approx({name: theirs[name] for name in found}, rel=1e-6)


# -- prdc


@sides
@pytest.mark.parametrize("k", [1, 5])
def test_precision_recall_density_and_coverage_are_prdcs(samples, real, k, capsys):
    prdc = pytest.importorskip("prdc")
    theirs = prdc.compute_prdc(real.numpy(), samples.numpy(), nearest_k=k)
    capsys.readouterr()
    found = measured(DensityCoverage(k=k), samples, real)
    assert found == pytest.approx({name: theirs[name] for name in found}, rel=1e-9)
    found = measured(PrecisionRecall(k=k), samples, real)
    assert found["precision"] == pytest.approx(theirs["precision"], rel=1e-9)
    if len(samples.unique(dim=0)) > 2:  # balls of copies are all boundary, which prdc leaves out
        assert found["recall"] == pytest.approx(theirs["recall"], rel=1e-9)


# -- vendi-score


@sides
def test_vendi_is_vendi_scores(samples, real):
    vendi = pytest.importorskip("vendi_score.vendi")
    found = measured(Vendi(), samples, real)
    score, whole = (float(vendi.score_dual(side.numpy())) for side in (samples, real))
    assert found["vendi"] == pytest.approx(score, rel=1e-9)
    assert found["vendi-ratio"] == pytest.approx(score / whole, rel=1e-9)


@pytest.mark.parametrize("shape", [(60, 7), (7, 60)])
def test_vendi_with_features_of_zeros_is_vendi_scores(shape):
    vendi = pytest.importorskip("vendi_score.vendi")
    samples = normal(*shape)
    samples[::3] = 0
    expected = float(vendi.score_dual(samples.numpy()))
    assert measured(Vendi(), samples, samples)["vendi"] == pytest.approx(expected, rel=1e-9)


# -- scikit-learn


@sides
@pytest.mark.parametrize("kernel", ["polynomial", "gaussian"])
def test_kid_by_scikit_learns_kernels(samples, real, kernel):
    pairwise, d, n = sklearn.metrics.pairwise, samples.shape[1], len(samples)
    x, y = samples.numpy(), real.numpy()
    if kernel == "polynomial":
        k = lambda a, b: pairwise.polynomial_kernel(a, b, degree=3, coef0=1, gamma=1 / d)  # noqa: E731
    else:
        k = lambda a, b: pairwise.rbf_kernel(a, b, gamma=1 / (2 * 1.7**2))  # noqa: E731
    within = [(k(side, side).sum() - np.trace(k(side, side))) / (n * (n - 1)) for side in (x, y)]
    expected = sum(within) - 2 * k(x, y).mean()
    found = measured(Kid(kernel=kernel, bandwidth=1.7), samples, real)["kid"]
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


@sides
def test_neighbourhoods_by_scikit_learns_search(samples, real):
    def reach(side):
        search = sklearn.neighbors.NearestNeighbors(n_neighbors=6, algorithm="kd_tree").fit(side)
        return search.kneighbors(side)[0][:, 5]

    trees = sklearn.neighbors.KDTree(samples.numpy()), sklearn.neighbors.KDTree(real.numpy())
    within = trees[0].query_radius(real.numpy(), reach(real.numpy()) * (1 - 1e-12), count_only=True)
    found = measured(DensityCoverage(), samples, real)
    assert found["density"] == pytest.approx(within.sum() / (5 * len(samples)))
    assert found["coverage"] == pytest.approx((within > 0).mean())
    own = reach(samples.numpy())
    gaps = scipy.spatial.distance.cdist(real.numpy(), samples.numpy())
    recall = (gaps <= own * (1 + 1e-12)).any(1).mean()
    assert measured(PrecisionRecall(), samples, real)["recall"] == pytest.approx(recall)


@sides
def test_bins_by_scikit_learn_and_scipy(samples, real):
    means = sklearn.cluster.KMeans(12, n_init=1, random_state=0).fit(real.numpy())
    counts = [np.bincount(means.predict(side.numpy()), minlength=12) for side in (samples, real)]
    found = measured(Ndb(bins=12), samples, real)
    assert found["jsd"] == pytest.approx(scipy.spatial.distance.jensenshannon(*counts) ** 2, abs=1e-9)
    n = len(samples)
    tables = [[[a, n - a], [b, n - b]] for a, b in zip(*counts, strict=True)]
    values = [scipy.stats.chi2_contingency(table, correction=False).pvalue for table in tables]
    assert found["ndb"] == pytest.approx(np.mean([p < 0.05 for p in values]))


@sides
def test_diversity_by_scipys_distances(samples, real):
    own, whole = (scipy.spatial.distance.pdist(side.numpy()).mean() for side in (samples, real))
    found = measured(Diversity(), samples, real)
    assert found["diversity"] == pytest.approx(own, rel=1e-6, abs=1e-5)
    assert found["diversity-ratio"] == pytest.approx(own / whole, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("sizes", [(200, 200), (200, 130)])
def test_distances_on_a_line_are_scipys(sizes):
    x, y = 2 * normal(sizes[0], 1) + 1, normal(sizes[1], 1, seed=1)
    one, other = x[:, 0].numpy(), y[:, 0].numpy()
    found = measured(SlicedWasserstein(p=1.0), x, y)["sliced-wasserstein"]
    assert found == pytest.approx(scipy.stats.wasserstein_distance(one, other), rel=1e-9)
    found = measured(EnergyDistance(), x, y)["energy-distance"]
    assert found == pytest.approx(scipy.stats.energy_distance(one, other) ** 2, rel=1e-9)


# -- POT


@sides
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_sliced_wasserstein_is_pots(ot, samples, real, p):
    axes = SlicedWasserstein(projections=40).directions(samples.shape[1], torch.Generator().manual_seed(3))
    for theirs in (real, real[:70]):
        expected = ot.sliced_wasserstein_distance(
            samples.numpy(), theirs.numpy(), projections=axes.numpy(), p=p
        )
        found = measured(SlicedWasserstein(p=p, projections=40), samples, theirs, seed=3)
        assert found["sliced-wasserstein"] == pytest.approx(float(expected), rel=1e-7, abs=1e-12)


def test_sliced_wasserstein_on_a_line_is_pots_transport(ot):
    x, y = normal(40, 1), 2 * normal(25, 1, seed=1)
    cost = ot.emd2([], [], ot.dist(x.numpy(), y.numpy()))  # squared distances
    found = measured(SlicedWasserstein(), x, y)["sliced-wasserstein"]
    assert found == pytest.approx(math.sqrt(float(cost)), rel=1e-7)


@pytest.fixture(scope="module")
def ot():
    return pytest.importorskip("ot")
