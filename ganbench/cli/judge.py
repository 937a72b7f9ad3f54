"""`ganbench judge`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ganbench.running.rejudge import Judged


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="verdict.NAME=VALUE", help="Change a threshold.")
@click.option("--reset", is_flag=True, help="Start from the suite's own thresholds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def judge(folder: Path, overrides: tuple[str, ...], reset: bool, as_json: bool) -> int:
    """Judge the runs in DIR again with other thresholds, without training.

    The new verdicts stay when the suite runs again, until its own thresholds change.
    """
    from ganbench.report import write_report
    from ganbench.results import load
    from ganbench.running.rejudge import judge_folder

    load(folder)  # raises BadInput if there are no results
    judged = judge_folder(folder, overrides, reset)
    write_report(load(folder), folder)  # loaded anew: judging has changed the rows on disk
    if as_json:
        click.echo(json.dumps(summary(judged), indent=1))
    else:
        _show(judged)
    return 0


def summary(judged: Judged) -> dict[str, object]:
    """The changed verdicts as plain data."""
    from ganbench.running.rejudge import verdict_of

    return {
        "thresholds": judged.thresholds,
        "runs": judged.runs,
        "changed": [
            {
                **{name: after[name] for name in ("key", "variant", "seed")},
                "before": verdict_of(before),
                "after": verdict_of(after),
                "reason": after["reason"],
                "remark": after["remark"],
            }
            for before, after in judged.changed
        ],
        "kept": judged.kept,
    }


def _show(judged: Judged) -> None:
    from ganbench.running.rejudge import verdict_of
    from ganbench.text import printable

    for before, after in judged.changed:
        change = f"{after['variant']} seed {after['seed']}: {verdict_of(before)} -> {verdict_of(after)}"
        why = "; ".join(filter(None, (after["reason"], after["remark"])))
        click.echo(printable(change + (f" ({why})" if why else ""), 1000))
    click.echo(f"{len(judged.changed)} of {judged.runs} verdicts changed")
    for name in judged.kept:
        why = "the rows that it was judged from are gone, so it keeps its verdicts"
        click.echo(printable(f"warning: {name}: {why}", 1000), err=True)
