"""The one place that states the version, and where the core's files lie."""

from pathlib import Path

__version__ = "0.1.0"
"""The version of the distribution, as in its metadata."""
CORE = Path(__file__).parent
"""The folder of the core: lines of its files are not a component's."""
DRAWS = 2
"""Version of what random numbers a seed gives (`ganbench.game.draws`): part of run keys."""
