"""What a plugin can provide: one abstract class a kind of component.

A component is a frozen dataclass whose fields are its options. Options are validated once, by pydantic
(`create`). A field typed `float` may be swept inside a stack: while training it is then a 0-d tensor, so
never branch on it in Python. Every other field is structural: variants that differ in it train in different
stacks.

Importing this package does not import torch.
"""

from ganbench.components.base import Component, bind, create, options_of, sweepable, unknown_option
from ganbench.components.data import Data, Dataset, DataSpec
from ganbench.components.kinds import (
    KINDS,
    Direction,
    Evaluation,
    Executor,
    Extractor,
    Logger,
    Loss,
    Metric,
    Model,
    Technique,
)

__all__ = [
    "KINDS",
    "Component",
    "Data",
    "DataSpec",
    "Dataset",
    "Direction",
    "Evaluation",
    "Executor",
    "Extractor",
    "Logger",
    "Loss",
    "Metric",
    "Model",
    "Technique",
    "bind",
    "create",
    "options_of",
    "sweepable",
    "unknown_option",
]
