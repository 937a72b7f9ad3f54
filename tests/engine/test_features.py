"""What a metric asks for is recorded, and its features are taken once."""

from __future__ import annotations

import dataclasses
from collections import Counter

import torch

from ganbench.components.data import Data
from ganbench.engine.features import FeatureRecorder, PointFeatures
from ganbench.engine.tables import TABLES, held_out_tables, training_tables


class CountedFeatures:
    """The first two coordinates of any samples."""

    def __init__(self):
        self.taken = Counter()
        self._real = {}

    def real(self, n):
        return self._real.setdefault(n, torch.arange(min(n, 5) * 3.0).view(-1, 3))

    def of(self, name, samples):
        self.taken[name, "samples"] += 1
        return samples[:, :2]

    def of_real(self, name, n):
        self.taken[name, n] += 1
        return self.real(n)[:, :2]


def test_a_metric_that_asks_for_nothing_has_nothing_recorded():
    features = CountedFeatures()
    recorder = FeatureRecorder(features, PointFeatures(features, torch.ones(4, 3)))
    assert (recorder.n_real, recorder.dimensions) == (None, None)


def test_real_samples_and_dimensions_are_recorded_for_each_metric():
    features = CountedFeatures()
    point = PointFeatures(features, torch.ones(4, 3))
    first, second = FeatureRecorder(features, point), FeatureRecorder(features, point)
    real = first.real(100)
    assert torch.equal(first.features("flat", real), real[:, :2])
    assert (first.n_real, first.dimensions) == (5, 2)
    assert (second.n_real, second.dimensions) == (None, None)
    assert features.taken == {("flat", 100): 1}


def test_features_of_the_points_samples_are_taken_once_for_all_metrics():
    features = CountedFeatures()
    samples = torch.ones(4, 3)
    point = PointFeatures(features, samples)
    for _ in range(3):
        assert torch.equal(FeatureRecorder(features, point).features("flat", samples), samples[:, :2])
    assert features.taken == {("flat", "samples"): 1}
    FeatureRecorder(features, point).features("flat", samples + 1)  # others are taken whenever asked for
    assert features.taken == {("flat", "samples"): 2}


def test_every_table_of_the_data_is_read_in_training_and_evaluation():
    described = {"classes", "modes", "sigma", "map_classes"}
    fields = {field.name for field in dataclasses.fields(Data)} - described
    assert {name for table in TABLES for name in (table.train, table.test)} == fields
    data = Data(**{name: torch.zeros(3, 2) for name in fields})
    assert list(training_tables(data)) == list(held_out_tables(data)) == [table.name for table in TABLES]
    bare = Data(torch.zeros(3, 2), torch.zeros(3, 2))
    assert list(training_tables(bare)) == list(held_out_tables(bare)) == ["data"]
