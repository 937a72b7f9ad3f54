"""The conformance kit: checks that every component must pass, built-in or not.

In your tests, a class a component:

    from ganbench.testing import LossChecks

    class TestMarginHinge(LossChecks):
        component = MarginHinge

`check(MarginHinge)` gives the same findings as data, `ganbench plugins check FILE` prints them.
"""

from __future__ import annotations

# modules that define checks register them by being imported
from ganbench.testing import (  # noqa: F401
    common,
    datasets,
    devices,
    executors,
    extractors,
    loggers,
    losses,
    metrics,
    models,
    training,
)
from ganbench.testing.case import Case
from ganbench.testing.classes import (
    CheckRemark,
    ComponentChecks,
    DatasetChecks,
    ExecutorChecks,
    ExtractorChecks,
    LoggerChecks,
    LossChecks,
    MetricChecks,
    ModelChecks,
    TechniqueChecks,
)
from ganbench.testing.findings import Check, Finding, checks_of
from ganbench.testing.run import check, findings

__all__ = [
    "Case",
    "Check",
    "CheckRemark",
    "ComponentChecks",
    "DatasetChecks",
    "ExecutorChecks",
    "ExtractorChecks",
    "Finding",
    "LoggerChecks",
    "LossChecks",
    "MetricChecks",
    "ModelChecks",
    "TechniqueChecks",
    "check",
    "checks_of",
    "findings",
]
