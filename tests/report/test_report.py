from __future__ import annotations

import errno
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_results import make
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console
from run_cli import ganbench_here
from test_results import add_stack, demo, edit_lock, variant_config

from ganbench.report import summary_table, write_report
from ganbench.report.content import notes, unjudged
from ganbench.report.listing import comparison_listing
from ganbench.report.markdown import report_text
from ganbench.report.tables import code, escape, markdown_table
from ganbench.results import load
from ganbench.text import break_label, interval, number, p_equation, p_value, plain_text

HOSTILE = [
    "a|b",
    "<script>alert(1)</script>",
    "`rm -rf`",
    "line\nbreak\r\n| x |",
    "[link](http://x) ![img](y)",
    "**bold** _it_ ~~no~~ # @you",
    "&lt;b&gt; &amp;",
    "\\| back \\\\",
    "\x1b[31mred\x1b[0m",
    "[red]rich[/red]",
    "\u202eabc\u2066",
    "😀 مرحبا",
    "-",
]


@pytest.fixture(autouse=True)
def page(monkeypatch):
    """The page is drawn in test_page.py."""

    def write(results, folder, warn):
        path = Path(folder) / "report.html"
        path.write_text(results.name)
        return path

    monkeypatch.setattr("ganbench.report.page.write_page", write)


def cells(markdown: str) -> list[list[str]]:
    """The text of each cell of the tables, as a reader of the rendered page sees it."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level >= 4:
            assert all(child.type in ("text", "text_special") for child in token.children)
            rows[-1].append("".join(child.content for child in token.children))
    return rows


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_as_it_is(name):
    table = markdown_table(["name", "value"], [[escape(name), "1"]], right=(1,))
    assert cells(table) == [["name", "value"], [plain_text(name), "1"]]
    assert len(table.splitlines()) == 3


@given(st.lists(st.text(max_size=20), min_size=2, max_size=3))
def test_any_text_fills_exactly_its_cell(texts):
    # The parser strips all of Unicode's white space off a cell.
    found = cells(markdown_table(["h"] * len(texts), [[escape(text) for text in texts]]))
    assert [text.strip() for text in found[1]] == [
        plain_text(text).replace("\0", "").strip() for text in texts
    ]


@given(st.text(max_size=20))
def test_a_code_span_stays_one(text):
    tokens = MarkdownIt("commonmark").parse(f"- {code(text)} end")
    inline = next(token for token in tokens if token.type == "inline")
    kinds = [child.type for child in inline.children]
    assert kinds == (["code_inline", "text"] if plain_text(text) else ["text"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (8.0, "8"),
        (6.25, "6.25"),
        (0.012345, "0.0123"),
        (999.6, "1000"),
        (12345.6, "12346"),
        (2e7, "2e+07"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text
    assert number(-value) == (f"-{text}" if value else text)


def test_numbers_that_are_none():
    assert [number(value) for value in (np.nan, np.inf, -np.inf)] == ["–", "∞", "-∞"]
    assert interval(np.nan, np.nan) == ""
    assert interval(1.5, np.inf) == "[1.5, ∞]"


def test_the_report_has_what_was_run_what_failed_and_how_to_do_it_again(tmp_path):
    results = load(demo(tmp_path / "demo"))
    paths = write_report(results, tmp_path / "out" / "here")
    assert [path.name for path in paths] == [
        *("report.md", "summary.csv", "runs.csv", "evaluations.csv", "report.html")
    ]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    text = paths[0].read_text(encoding="utf-8")
    rows = cells(text)
    low, high = results.summary()[["failure_low", "failure_high"]].iloc[0]
    assert ["ring/a", "loop", "100", "64", "adam lr=0.001", "modes, energy-distance"] in rows
    summary = next(row for row in rows if row[:2] == ["ring/a", "5"])
    assert summary[2:6] == [
        "1 (20%)",
        f"[{100 * low:.0f}%, {100 * high:.0f}%]",
        "4 finished, 1 collapsed",
        "modes (higher is better)",
    ]
    assert summary[6] == f"6.5 {interval(*results.summary()[['final_low', 'final_high']].iloc[0])}"
    assert summary[8] == "4"
    assert ["ring/a", "4", "collapsed", "by step 70", ""] in rows
    assert ["ring/c", "0", "incompatible", "–", "no fit"] in rows
    assert ["packages.torch", "2.8"] in rows
    assert "`ganbench run demo`" in text
    assert "seeds 0, 1, 2, 3, 4." in text
    assert "11 runs: 3 variants, 5 different seeds" in text
    assert "Warnings" not in text
    assert "Mixed" not in text


def test_the_csv_files_hold_the_frames(tmp_path):
    results = load(demo(tmp_path / "demo"))
    frames = (results.summary(), results.runs, results.evaluations)
    for path, frame in zip(write_report(results, tmp_path)[1:4], frames, strict=True):
        found = pd.read_csv(path)
        assert found.columns.tolist() == frame.columns.tolist()
        assert len(found) == len(frame)
        for name in frame.select_dtypes("number"):
            np.testing.assert_allclose(
                found[name].astype(float), frame[name].astype(float).to_numpy(dtype=float)
            )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_of_hostile_names_has_the_same_shape(tmp_path, name):
    config = variant_config(name, name, [name, "fid"], [name])
    folder = add_stack(
        tmp_path, name, config, [{name: [1.0], "fid": [2.0]}] * 2, outcomes=["finished", "diverged"]
    )
    folder.write_runs(
        folder.runs().assign(reason=name, versions=f'{{"{name.encode("unicode_escape").hex()}": "1"}}')
    )
    folder.write_env({name: {name: name}})
    edit = {"schema": 1, "suite": name}
    (tmp_path / "suite.lock.json").write_text("{}")
    results = load(edit_lock(tmp_path, **edit))
    text = write_report(results, tmp_path)[0].read_text(encoding="utf-8")
    shown = plain_text(name)
    rows = cells(text)
    assert [shown, "1", "diverged", "at step 70", shown] in rows
    assert [shown, "loop", "100", "64", "adam lr=0.001", plain_text(f"{name}, fid")] in rows
    assert [plain_text(f"{name}.{name}"), shown] in rows
    assert {len(row) for row in rows} == {2, 5, 6, 9}
    lines = print_table(results.summary(), 80).splitlines()
    assert "\x1b" not in "".join(lines)
    assert max(map(cell_len, lines)) <= 80


def test_what_cannot_be_compared_or_read_or_is_not_there_yet_is_said(tmp_path):
    demo(tmp_path)
    stacks = {path.name[:4]: path for path in (tmp_path / "stacks").iterdir()}
    runs = stacks["ring"] / "runs.parquet"
    frame = pd.read_parquet(runs)
    frame.assign(device=["cpu", "cuda", "cpu", "cpu", "cpu"]).to_parquet(runs)
    (stacks["digi"] / "evals.parquet").write_bytes(b"half")
    results = load(edit_lock(tmp_path, keys=[*(f"ring/a:{i}" for i in range(5)), "digits/b:0", "later"]))
    text = write_report(results, tmp_path)[0].read_text(encoding="utf-8")
    assert "**1 run of the suite has no result yet**" in text
    assert "**Mixed devices** \\(cpu: ring; cuda: ring\\)" in text
    assert "## Warnings" in text
    assert "evals.parquet cannot be read" in plain_text(text.replace("\\", ""))


def test_a_report_without_failures_and_without_runs(tmp_path):
    config = variant_config("ring", "hinge", ["fid"])
    add_stack(tmp_path / "good", "v", config, [{"fid": [1.0]}])
    add_stack(tmp_path / "none", "v", config, [{"fid": [1.0]}], finished=False)
    assert "## Failures\n\nNone." in write_report(load(tmp_path / "good"), tmp_path)[0].read_text(
        encoding="utf-8"
    )
    none = write_report(load(tmp_path / "none"), tmp_path)[0].read_text(encoding="utf-8")
    assert "## Summary\n\nNo run has ended yet." in none
    assert "IQM" not in none
    assert "seeds ." not in none
    assert "No run has ended yet." in ganbench_here("report", tmp_path / "none").out


def test_every_metric_is_in_the_report(tmp_path):
    metrics = {"modes": "higher", "spread": "higher", "radius-gap": "lower"}
    results = load(make(tmp_path, 2, 4, metrics=metrics, outcomes=[{}], trace_steps=0))
    text = report_text(results)
    assert "## Further metrics" in text
    rows = [row for row in cells(text) if row[0] == "radius-gap (lower is better)"]
    own = results.summary("radius-gap").iloc[0]
    assert [row[1] for row in rows] == results.runs["variant"].unique().tolist()
    assert rows[0][2] == f"{number(own['final'])} {interval(own['final_low'], own['final_high'])}"
    assert list(notes(results)) == [
        "Also measured (show with `ganbench report --metric NAME`): spread and radius-gap."
    ]
    alone = load(make(tmp_path / "alone", 2, 2, metrics={"modes": "higher"}, trace_steps=0))
    assert "Further metrics" not in report_text(alone)
    assert list(notes(alone)) == []


def test_a_report_by_another_metric_is_all_by_that_one(tmp_path):
    make(tmp_path, 2, 4, outcomes=[{}], trace_steps=0)
    done = ganbench_here("report", tmp_path, "--metric", "energy-distance")
    assert "energy-distance: lower is better" in squeezed(done.out)
    assert set(pd.read_csv(tmp_path / "summary.csv")["metric"]) == {"energy-distance"}
    text = plain_text_of((tmp_path / "report.md").read_text(encoding="utf-8"))
    assert "| modes (higher is better) |" in text
    wrong = ganbench_here("report", tmp_path, "--metric", "energy-distanc")
    assert wrong.code == 2
    assert "no variant takes the metric 'energy-distanc'; did you mean 'energy-distance'?" in wrong.err
    results = load(tmp_path)
    assert results.by("energy-distance").compare()["metric"].unique().tolist() == ["energy-distance"]
    assert results.compare()["metric"].unique().tolist() == ["modes"]


def test_where_collapse_could_not_be_seen_it_is_said(tmp_path):
    blind = load(make(tmp_path / "blind", 2, 3, metrics={"spread": "higher"}, outcomes=[{}], trace_steps=0))
    told = (
        "Collapse could not be judged: none of modes, stacked-modes, active-units and coverage was measured. "
        "Learning could not be judged: no metric of quality with a direction was measured."
    )
    assert unjudged(blind) == told
    assert f"## Failures\n\nNone. {told}" in plain_text_of(report_text(blind))
    assert told in squeezed(ganbench_here("report", blind.path).out)
    blind.lock["verdict"] |= {"coverage_metrics": ["spread"], "descriptive_metrics": ["rate"]}
    assert unjudged(blind) == ""
    half = load(demo(tmp_path / "half"))
    assert unjudged(half).startswith("Collapse could not be judged for digits: none of modes,")


@pytest.mark.parametrize(("every", "judged"), [(25, True), (26, True), (34, False), (50, False)])
def test_too_few_evaluations_to_judge_learning_are_said(tmp_path, every, judged):
    config = variant_config("ring", "hinge", ["fid"]) | {"steps": 100, "evaluate": {"every": every}}
    add_stack(tmp_path, "v", config, [{"fid": [1.0]}])
    results = load(tmp_path)
    results.lock["directions"] = {"fid": "lower"}
    text = "Learning could not be judged: fewer than 4 evaluations after step 0."
    assert (text in unjudged(results)) != judged


def plain_text_of(markdown: str) -> str:
    return markdown.replace("\\", "")


def test_the_command_is_that_which_trained_it(tmp_path):
    make(tmp_path, 1, 2, trace_steps=0)
    lock = {"command": "ganbench run my/radius.toml --seeds 2"}
    text = report_text(load(edit_lock(tmp_path, **lock)))
    assert "- Command: `ganbench run my/radius.toml --seeds 2`; seeds 0, 1. Runs already" in text
    assert "`ganbench run made`" not in text
    text = report_text(load(edit_lock(tmp_path, command=None)))
    assert "- Suite: `ganbench run made` if an installed plugin provides it, else its file; seeds" in text


def test_a_report_of_many_failures_is_cut_and_says_so(tmp_path):
    values = [{"fid": [1.0]}] * 250
    add_stack(tmp_path, "v", variant_config("ring", "hinge", ["fid"]), values, outcomes=["diverged"] * 250)
    assert "50 more are in runs.csv." in write_report(load(tmp_path), tmp_path)[0].read_text(encoding="utf-8")


def print_table(frame: pd.DataFrame, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(summary_table(frame, width))
    return out.getvalue()


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_terminals_table_fits_and_is_complete(tmp_path, width):
    root = demo(tmp_path)
    label = "ring/mlp-gan/non-saturating/spectral-norm+r1 [r1.gamma=0.1, lr.discriminator=0.0004]"
    values = [{"energy-distance": [0.0123, 0.00456 + i / 1000]} for i in range(5)]
    add_stack(root, label, variant_config("ring", "hinge", ["energy-distance"]), values)
    results = load(edit_lock(root, keys=None))
    text = print_table(results.summary(), width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    flat = squeezed(text)
    parts = [
        *("1 of 5 20% [4%, 62%]", "100% [21%, 100%]", "6.5 (n=4)", "12 (n=5)", "– (n=0)", "0.00656 (n=5)"),
        *("modes: higher is better", "median of the n runs that finished"),
    ]
    span = interval(*results.summary()[["final_low", "final_high"]].iloc[0])
    for part in [*parts, span, "4 finished, 1 collapsed"]:
        assert part in flat
    first_column = "".join(re.split(r"\s{3,}", line)[0] for line in text.splitlines()).replace(" ", "")
    assert "ring/mlp-gan" in first_column, "what tells it from the others"


OUTCOMES = [{"collapsed": 0.5, "diverged": 0.3}, {}, {"timed_out": 0.2}]


@pytest.mark.parametrize(("width", "lines"), [(120, 1), (80, 2)])
def test_a_variant_takes_one_line_on_a_wide_terminal_and_two_on_a_narrow_one(tmp_path, width, lines):
    results = load(make(tmp_path, 18, 5, outcomes=OUTCOMES, trace_steps=0))
    table = print_table(results.summary(), width).splitlines()
    end = next(index for index, line in enumerate(table) if line.startswith("final: "))
    assert end - 2 <= 18 * lines  # below the header and its rule


def test_an_empty_summary_is_an_empty_table(tmp_path):
    add_stack(tmp_path, "v", variant_config("ring", "hinge", ["fid"]), [{"fid": [1.0]}], finished=False)
    assert "variant" in print_table(load(tmp_path).summary(), 80)


@given(st.text(alphabet="ab/+, =é", max_size=60), st.integers(1, 30))
def test_labels_are_broken_without_loss(label, width):
    lines = break_label(label, width)
    assert max(len(line) for line in lines) <= max(
        width, max((len(run) for run in _separators(label)), default=0) + width
    )
    assert "".join("".join(lines).split()) == "".join(label.split())


def _separators(label: str) -> list[str]:
    return "".join(c if c in "/+, " else "x" for c in label).split("x")


def test_p_values_are_told_in_one_way():
    values = [0.0001, 0.0123, 0.0714, 0.1936, 1.0, np.nan]
    assert [p_value(p) for p in values] == ["<.001", ".012", ".071", ".19", "1.00", "–"]
    assert p_equation(0.0001) == "p < .001"
    assert p_equation(0.0714) == "p = .071"


def test_a_comparison_shows_its_corrected_p_where_none_could_be_significant(tmp_path):
    results = load(make(tmp_path, 3, 3, outcomes=[{}], trace_steps=0))
    frame = results.compare()
    listing = comparison_listing(frame, 0.05)
    assert [row[2] for row in listing.rows] == [f"{p_value(p)}°" for p in frame["p_holm"]]
    assert listing.notes[-1].startswith("°: with this few runs no result could be significant")


def test_labels_are_broken_after_a_slash():
    assert break_label("ring/mlp-gan/hinge", 14) == ["ring/mlp-gan/", "hinge"]
    assert break_label("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert break_label("", 10) == [""]


def test_a_page_that_cannot_be_drawn_loses_no_table(tmp_path, monkeypatch):
    def broken(results, folder, warn):
        raise ZeroDivisionError("no such colour")

    monkeypatch.setattr("ganbench.report.page.write_page", broken)
    told = []
    paths = write_report(load(demo(tmp_path / "demo")), tmp_path, told.append)
    assert [path.name for path in paths] == ["report.md", "summary.csv", "runs.csv", "evaluations.csv"]
    assert told == ["report.html could not be written: ZeroDivisionError: no such colour"]


def test_a_page_that_cannot_be_written_is_no_success(tmp_path, monkeypatch):
    def full(results, folder, warn):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ganbench.report.page.write_page", full)
    done = ganbench_here("report", demo(tmp_path))
    assert done.code == 1
    why = "(No space left on device); the tables are written"
    assert f"warning: report.html cannot be written to {tmp_path} {why}" in done.err.splitlines()
    assert "wrote" in done.out
    assert "report.html" not in done.out


def test_paths_may_be_text(tmp_path):
    demo(tmp_path / "demo")
    assert all(isinstance(path, Path) for path in write_report(load(str(tmp_path / "demo")), str(tmp_path)))
