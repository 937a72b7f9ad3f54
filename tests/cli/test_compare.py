"""`ganbench compare`, `leaderboard` and LaTeX tables: what is printed fits, is complete, can be read back."""

from __future__ import annotations

import io
import json
import shutil
import subprocess

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_results import make
from rich.cells import cell_len
from run_cli import ganbench_here as ganbench
from test_report import HOSTILE, cells

from ganbench import load
from ganbench.report import latex
from ganbench.report.listing import comparison_listing
from ganbench.text import plain_text

TECHNIQUES = ["plain", "spectral-norm+r1+exponential-moving-average", "r1", "ema"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    shifts = [0, 9, 1, 0]
    outcomes = [{}, {}, {}, {"diverged": 1.0}]
    return make(
        tmp_path_factory.mktemp("cli"), TECHNIQUES, 10, outcomes=outcomes, shifts=shifts, trace_steps=0
    )


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return make(tmp_path_factory.mktemp("few"), TECHNIQUES, 3, trace_steps=0, baseline={"loss": "none"})


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_fits_and_is_complete(folder, few, width):
    done = ganbench("compare", folder, columns=width)
    assert (done.code, done.err) == (0, "")
    assert max(map(cell_len, done.out.splitlines())) <= width
    assert "…" not in done.out
    flat = " ".join(done.out.split())
    for text in ("1.00 [0.", "<.001*", "10", "10 v 0*", "Against plain.", "modes: higher is better."):
        assert text in flat
    clear = load(folder).compare()["significant"].sum()
    assert f"{clear} of 3 pairs differ significantly (*)" in flat
    done = ganbench("compare", few, columns=width)
    assert max(map(cell_len, done.out.splitlines())) <= width
    assert done.out.count("v r1") + done.out.count("v spectral-norm+r1") + done.out.count("v ema") == 6
    assert "with this few runs no result could be significant" in " ".join(done.out.split())


def test_the_same_numbers_come_in_all_formats(folder):
    frame = load(folder).compare()
    csv = pd.read_csv(io.StringIO(ganbench("compare", folder, "--format", "csv").out))
    assert csv.columns.tolist() == frame.columns.tolist()
    pd.testing.assert_frame_equal(csv, frame, check_dtype=False, check_exact=True)
    told = json.loads(ganbench("compare", folder, "--format", "json").out)
    assert [row["p"] for row in told] == frame["p"].tolist()
    assert told[2]["estimate"] is None  # infinite; `failures` says why
    assert told[2]["failures"] == 10
    rows = cells(ganbench("compare", folder, "--format", "md").out)
    assert rows[0] == ["variant", "P(better) [95%]", "p", "values", "n", "failed"]
    assert [row[0] for row in rows[1:]] == TECHNIQUES[1:]
    text = ganbench("compare", folder, "--format", "latex").out
    assert text.count(r"\\") == 4
    assert r"\toprule" in text


def test_options_choose_metric_baseline_and_level(folder):
    done = ganbench(
        "compare", folder, "--metric", "energy-distance", "--baseline", "techniques=r1", "--alpha", "0.2",
        "--format", "json",
    )  # fmt: skip
    told = json.loads(done.out)
    assert {row["metric"] for row in told} == {"energy-distance"}
    assert {row["other"] for row in told} == {"ring/mlp-gan/hinge/r1"}
    done = ganbench("compare", folder, "--baseline", "ring/mlp-gan/hinge/ema", "--format", "json")
    assert {row["other"] for row in json.loads(done.out)} == {"ring/mlp-gan/hinge/ema"}
    done = ganbench("compare", folder, "--baseline", "all", "--format", "json")
    assert len(json.loads(done.out)) == 6
    done = ganbench("compare", folder, "--baseline", "loss=hinge,techniques=,batch=64", "--format", "json")
    assert {row["other"] for row in json.loads(done.out)} == {"ring/mlp-gan/hinge/plain"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "mode"], "no variant takes the metric 'mode'; did you mean 'modes'?"),
        (["--baseline", "plane"], "no variant is called 'plane'"),
        (["--baseline", "los=hinge"], "'los' is not a key of a baseline; did you mean 'loss'?"),
        (["--baseline", "loss=hing"], "no variant has loss = 'hing'; did you mean 'hinge'?"),
        (["--baseline", "batch=x"], "batch must be a whole number"),
        (["--alpha", "5"], "alpha must be between 0 and 1"),
        (["--alpha", "x"], "'x' is not a valid float"),
        (["--format", "pdf"], "'pdf' is not one of"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(folder, arguments, message):
    done = ganbench("compare", folder, *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_folders_that_are_not_there(tmp_path):
    for command in ("compare", "leaderboard", "report"):
        done = ganbench(command, tmp_path / "none")
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "no such folder of results" in done.err


def test_while_a_suite_trains_the_missing_runs_are_told_of(tmp_path):
    make(tmp_path, 3, 4, trace_steps=0, unfinished=1)
    done = ganbench("compare", tmp_path)
    assert done.code == 0
    assert done.err.splitlines() == [
        "warning: no pair is called significant until every run of the suite has a result",
        "warning: 4 of the suite's runs have no result yet and are left out",
    ]
    assert ganbench("leaderboard", tmp_path).err.splitlines() == done.err.splitlines()[1:]


def test_the_leaderboard_is_over_all_folders(folder, tmp_path):
    other = make(tmp_path / "grid", TECHNIQUES, 5, dataset="grid", trace_steps=0, suite="grid")
    for width in (80, 160):
        done = ganbench("leaderboard", folder, other, columns=width)
        assert done.code == 0
        assert max(map(cell_len, done.out.splitlines())) <= width
        assert "2 of 2" in done.out
        assert "No test: it needs at least 6 tasks" in " ".join(done.out.split())
    told = json.loads(ganbench("leaderboard", folder, other, "--format", "json", "--by-model").out)
    assert told[0]["variant"] == f"hinge/{TECHNIQUES[1]}"
    assert [row["tasks"] for row in told] == [2] * 4
    assert ganbench("leaderboard", folder, "--metric", "x").code == 2


def test_a_variant_that_is_not_on_all_tasks_has_a_dash_in_place_of_its_rank(folder, tmp_path):
    other = make(tmp_path / "grid", TECHNIQUES[:3], 5, dataset="grid", trace_steps=0, suite="grid")
    rows = {row[0]: row for row in cells(ganbench("leaderboard", folder, other, "--format", "md").out)}
    assert rows["mlp-gan/hinge/ema"][1:4] == ["–", "–", "1 of 2"]
    assert sorted(row[1] for row in rows.values()) == ["1", "2", "3", "rank", "–"]
    done = ganbench("leaderboard", folder, other)
    assert "'mlp-gan/hinge/ema' is not ranked: it has no runs on 'grid/modes'." in " ".join(done.out.split())
    told = json.loads(ganbench("leaderboard", folder, other, "--format", "json").out)
    assert [(row["rank"], row["missing"]) for row in told[2:]] == [(3, ""), (None, "grid/modes")]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_in_every_format(tmp_path, name):
    label = name.replace("+", "") or "empty"
    make(tmp_path, ["plain", label, "r1"], 4, steps=10, trace_steps=0)
    for form in ("table", "md", "latex", "csv", "json"):
        done = ganbench("compare", tmp_path, "--format", form)
        assert done.code == 0
        assert form == "csv" or form == "json" or "\x1b" not in done.out
    rows = cells(ganbench("compare", tmp_path, "--format", "md").out)
    assert {len(row) for row in rows} == {6}


def test_latex_shows_text_as_it_is():
    assert latex.escape("50% of a_b & {c} #1 $2 ~ ^ \\x") == (
        r"50\% of a\_b \& \{c\} \#1 \$2 \textasciitilde{} \textasciicircum{} \textbackslash{}x"
    )
    assert latex.escape("a--b---c-d") == "a-{}-b-{}-{}-c-d"


@given(st.text(max_size=30))
def test_no_text_becomes_a_command(text):
    found = latex.escape(text).replace(r"$^\circ$", "")
    for command in (r"\&", r"\%", r"\$", r"\#", r"\_", r"\{", r"\}"):
        found = found.replace(command, "")
    assert not set(found.replace("{}", "")) & set("&%$#_{}~^") - set(r"$\infty$" + r"$\pm$")


def test_a_frame_is_a_table_by_booktabs():
    frame = pd.DataFrame({"a_b": ["x & y", "[z]"], "value": [1.5, float("inf")], "n": [3, 4]})
    text = latex.latex_table(frame, caption="50% of it", label="tab:a b")
    assert text.splitlines() == [
        r"\begin{table}",
        r"\centering",
        r"\caption{50\% of it}",
        r"\label{tab:a-b}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"a\_b & value & n \\",
        r"\midrule",
        r"x \& y & 1.5 & 3 \\",
        r"{}[z] & $\infty$ & 4 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    assert latex.latex_table(frame).startswith(r"\begin{tabular}")


def test_a_latex_table_has_a_short_caption_and_notes_beneath(tmp_path):
    results = load(make(tmp_path, 3, 3, outcomes=[{}], trace_steps=0))
    lines = comparison_listing(results.compare(), 0.05).text("latex").splitlines()
    assert r"\caption{Variants compared with plain by modes.}" in lines
    beneath = lines[lines.index(r"\end{tabular}") :]
    assert "modes: higher is better." in beneath
    assert r"$^\circ$: with this few runs no result could be significant; train more seeds." in beneath
    assert not [line for line in lines if line.startswith("{}")]
    assert "°" not in "".join(lines)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_latex_compiles(folder, tmp_path):
    names = [plain_text(name).encode("ascii", "ignore").decode() for name in HOSTILE]
    figure = tmp_path / "rates.tex"
    assert ganbench("figure", "failure-rates", folder, "-o", figure).code == 0
    tables = [
        figure.read_text(encoding="utf-8"),
        ganbench("compare", folder, "--format", "latex").out,
        ganbench("leaderboard", folder, "--format", "latex").out,
        latex.latex_table(pd.DataFrame({"name": [*names, "*", "[x]", "a--b"], "value": 1.0}), "all of them"),
    ]
    packages = "".join(rf"\usepackage{p}" for p in ("{booktabs}", "[T1]{fontenc}", "{textcomp}"))
    source = rf"\documentclass{{article}}{packages}\begin{{document}}" + "\n".join(tables) + r"\end{document}"
    (tmp_path / "all.tex").write_text(source, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_report_is_of_all_folders_and_lies_in_the_first(folder, tmp_path):
    first = make(tmp_path / "grid", 2, 3, dataset="grid", trace_steps=0, suite="grid", unfinished=1)
    done = ganbench("report", first, folder, "--json")
    assert done.code == 0
    assert len(done.json()) == 1 + 4
    text = (first / "report.md").read_text(encoding="utf-8")
    assert "3 runs of the suite have no result yet" in text
    assert "spectral-norm" in text
