"""What was learnt: every metric before the first step and after the last, of a folder of results.

python -m benchmarks.learning_table results/zoo --out results/learnt
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import ganbench
from ganbench.report.tables import markdown_table
from ganbench.results import Results


def main() -> None:
    """Write a table as Markdown and CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", help="a folder of results")
    parser.add_argument("--out", type=Path, required=True, help="where to write a table as .md and .csv")
    given = parser.parse_args()
    results = ganbench.load(given.results)
    table = learnt(results)
    given.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.out / f"{results.name}.csv", index=False, float_format="%.6g")
    (given.out / f"{results.name}.md").write_text(page(results, table), encoding="utf-8")


def learnt(results: Results) -> pd.DataFrame:
    """One row a (variant, metric): median and range over seeds before the first step and after the last."""
    rows = []
    for (variant, metric), found in results.evaluations.groupby(["variant", "metric"], sort=False):
        steps = found["step"]
        before, after = (found.loc[steps == step, "value"] for step in (steps.min(), steps.max()))
        better = np.sign(after.median() - before.median()) * (
            1 if results.directions.get(str(metric)) == "higher" else -1
        )
        apart = before.max() < after.min() or before.min() > after.max()
        rows.append(
            {
                "variant": variant,
                "metric": metric,
                "better": results.directions.get(str(metric), "lower"),
                "seeds": found["seed"].nunique(),
                "before": before.median(),
                "after": after.median(),
                "after_low": after.min(),
                "after_high": after.max(),
                "learnt": bool(better > 0 and apart),
            }
        )
    return pd.DataFrame(rows)


def page(results: Results, table: pd.DataFrame) -> str:
    """The table with its provenance."""
    environment = results.environments[0] if results.environments else {}
    told = {**environment, **environment.get("packages", {})}
    named = [f"{key} {told[key]}" for key in ("device", "processor", "python", "torch") if key in told]
    lines = [
        f"# {results.name}: before the first step and after the last",
        "",
        f"Made by `ganbench run {results.name}` and `python -m benchmarks.learning_table`: "
        f"{', '.join(named)}.",
        "",
        "Medians over seeds; in brackets the range of all seeds after the last step. *learnt*: every seed is",
        "better after the last step than any was before the first.",
        "",
    ]
    shown = [
        [
            str(row.variant),
            f"{row.metric} ({row.better} is better)",
            f"{row.before:.4g}",
            f"{row.after:.4g} [{row.after_low:.4g}, {row.after_high:.4g}]",
            "yes" if row.learnt else "no",
        ]
        for row in table.itertuples()
    ]
    return "\n".join([*lines, markdown_table(["variant", "metric", "before", "after", "learnt"], shown), ""])


if __name__ == "__main__":
    main()
