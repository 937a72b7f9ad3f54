"""The components that the suites in `bad_suites` name, as a plugin."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

from suite_parts import Copy, Damp, Dots, Duel, Gap, Lame, Mirror, Pull, Push, Spread, Wrap

import ganbench


@ganbench.hookimpl
def ganbench_datasets():
    return [Dots]


@ganbench.hookimpl
def ganbench_models():
    return [Duel, Mirror]


@ganbench.hookimpl
def ganbench_losses():
    return [Push, Pull, Lame, Copy]


@ganbench.hookimpl
def ganbench_techniques():
    return [Damp, Wrap]


@ganbench.hookimpl
def ganbench_metrics():
    return [Spread, Gap]
