"""The page: its content, and the template that renders it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from ganbench.report import content
from ganbench.report.figures import NAMES, Figure, figures, theme
from ganbench.report.page import embedded
from ganbench.report.page.factors import failed_runs, failures_by_factor
from ganbench.report.page.further import Further, further
from ganbench.report.page.overview import overview, summary_groups
from ganbench.report.page.pictures import examples, gallery
from ganbench.report.page.sections import answered
from ganbench.results import Results
from ganbench.storage.atomic import plain, write_atomic
from ganbench.text import plain_text

NAME = "report.html"
LARGEST_LOCK = 500_000
"""Bytes; a larger resolved suite is not embedded in the page."""
_FILTERS = ("variant", "outcome", "seed")


def write_page(results: Results, folder: Path | str, warn: Callable[[str], object] = warnings.warn) -> Path:
    """Write report.html into the existing `folder`; its path. It needs no other file and no network.

    A figure that cannot be drawn is left out, and `warn` gets the reason.
    """
    path = Path(folder) / NAME
    text = page_text(results, list(_drawn(results, warn)), list(further(results, warn)))
    # written as it was hashed: other line ends would break the hashes of the scripts
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))
    return path


def _drawn(results: Results, warn: Callable[[str], object]) -> Iterator[Figure]:
    """The figures that can be drawn from these results, in reading order."""
    for name in NAMES:
        try:
            yield from figures(results, [name])
        except Exception as error:  # a broken figure must not cost the page
            warn(f"the figure {name} could not be drawn: {type(error).__name__}: {error}")


def page_text(results: Results, drawn: Sequence[Figure], beside: Sequence[Further] = ()) -> str:
    """The whole page, with these figures and these further metrics."""
    in_sections = [*drawn, *failures_by_factor(results), *failed_runs(results)]
    scripts = [
        embedded.in_script(text) for text in (embedded.drawing_library(), embedded.own_text("script", ".js"))
    ]
    sections, shots = answered(in_sections), gallery(results)
    datasets = dict(zip(results.runs["variant"], results.runs["dataset"], strict=True))
    choices = _choices(results)
    return _template().render(
        name=results.name,
        description=results.lock.get("description") or "",
        counts=content.counts(results),
        cautions=list(content.cautions(results)),
        overview=overview(results, sections),
        summary=summary_groups(results.summary(), datasets),
        gallery=shots,
        note=content.NOTE,
        sections=sections,
        further=beside,
        examples=examples(results),
        # attributes hold positions: labels are long, and the data has each once
        position={name: {value: at for at, value in enumerate(values)} for name, values in choices.items()},
        data={
            "filters": choices,
            "runs": embedded.packed(results.runs[list(_FILTERS)]),
            "themes": {"light": theme(False), "dark": theme(True)},
        },
        drawings={
            figure.name: _drawing(figure)
            for figure in [*in_sections, *(metric.figure for metric in beside if metric.figure)]
        },
        reproduce=_reproduce(results),
        warnings=results.warnings,
        style=Markup(embedded.own_text("style", ".css")),
        scripts=[Markup(script) for script in scripts],
        policy=_policy(scripts),
    )


def _choices(results: Results) -> dict[str, list[Any]]:
    """Filters of the page: column of the runs -> its values."""
    choices = {name: list(dict.fromkeys(results.runs[name].tolist())) for name in _FILTERS}
    return choices | {"seed": sorted(choices["seed"])}


def _drawing(figure: Figure) -> dict[str, object]:
    """The data that the script draws a figure from: the chart without its rows, its rows, its table."""
    spec = figure.spec() if figure.chart is not None else None
    # Altair moves all rows to "datasets"; packed by columns they take less space
    rows = spec.pop("datasets", {}) if spec else {}
    return {
        "spec": spec,
        "rows": {name: embedded.packed_rows(dataset) for name, dataset in rows.items()},
        "table": embedded.packed(figure.table),
    }


def _reproduce(results: Results) -> dict[str, object]:
    lock, ways = embedded.safe_json(plain(results.lock)), content.ways(results)
    return {
        "command": results.lock.get("command") or "",
        "suite_command": content.suite_command(results),
        "python": content.python_line(results),
        "seeds": content.seeds(results),
        "components": content.components(results),
        "environments": [list(content.leaves(environment)) for environment in results.environments],
        "settings": [
            (label, ways.get(label, ""), *content.settings(config))
            for label, config in results.configs.items()
        ],
        "fallbacks": list(content.fallbacks(results)),
        "lock": Markup(lock) if len(lock) <= LARGEST_LOCK else "",
    }


def _template() -> jinja2.Template:
    """Names come from outside: anything not marked safe is escaped and stripped of control characters."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ganbench.report.page"),
        autoescape=True,
        # a misspelt name is an error and not an empty place on the page
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else plain_text(value),
    )
    # <wbr> lets a browser break long labels after "/"
    environment.filters["breakable"] = lambda name: escape(plain_text(name)).replace("/", Markup("/<wbr>"))
    environment.filters["safe_json"] = lambda value: Markup(embedded.safe_json(value))
    return environment.get_template("report.html.j2")


def _policy(scripts: Sequence[str]) -> str:
    """The page may run its own two scripts and show embedded pictures. No network."""
    allowed = " ".join(embedded.source_hash(script) for script in scripts)
    return (
        # style attributes place the bars of the summary, so inline styles are allowed
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
