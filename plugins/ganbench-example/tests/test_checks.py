"""The checks that every plugin should pass."""

from ganbench.testing import LoggerChecks, LossChecks, MetricChecks, ModelChecks, TechniqueChecks

from ganbench_example import (
    NormalisedGradient,
    OutcomeTable,
    RadialWasserstein,
    ResidualMLPGAN,
    TemperedLogistic,
)


class TestTemperedLogistic(LossChecks):
    component = TemperedLogistic


class TestNormalisedGradient(TechniqueChecks):
    component = NormalisedGradient


class TestResidualMLPGAN(ModelChecks):
    component = ResidualMLPGAN


class TestRadialWasserstein(MetricChecks):
    component = RadialWasserstein


class TestOutcomeTable(LoggerChecks):
    component = OutcomeTable
