"""What the user should know before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ganbench.planning.plan import Plan
from ganbench.plugins.discovery import Catalogue
from ganbench.suites.checks import idle_plugins


def cautions(plan: Plan, catalogue: Catalogue, files: Iterable[str]) -> list[str]:
    """What the user should know before anything is trained.

    Runs that cannot be trained, settings without effect, and single-file plugins (`files`) that failed or
    give nothing.
    """
    reasons, runs = Counter(row["reason"] for row in plan.failed), len(plan.runs) + len(plan.failed)
    warnings = [f"{count} of {runs} runs are incompatible: {reason}" for reason, count in reasons.items()]
    if plan.settings.device == "cpu" and any(v.config.get("tf32") for v in plan.suite.variants):
        warnings.append("tf32 = true has no effect on a CPU")
    given = {str(Path(file)) for file in files}
    failed = [
        f"plugin {failure.plugin!r} of {failure.distribution} failed: {failure.message}"
        for failure in catalogue.failures
        if failure.distribution in given
    ]
    warnings += [text for text in failed if not any(text in reason for reason in reasons)]
    return warnings + idle_plugins(catalogue)
