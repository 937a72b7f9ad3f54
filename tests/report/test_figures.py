"""Figures: what they say, what they draw, and that names from results stay data."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
import vl_convert
from click.testing import CliRunner
from made_results import make
from PIL import Image

import ganbench
from ganbench.cli import cli
from ganbench.errors import BadInput
from ganbench.judging.outcomes import OUTCOMES
from ganbench.report.figures import NAMES, figure, figures, theme, write_figure
from ganbench.report.figures.base import ROWS, SERIES, looks, step_axis
from ganbench.report.figures.lines import SINGLE, band
from ganbench.report.figures.maps import edges, logspaced
from ganbench.report.figures.theme import COLOURS
from ganbench.report.names import labels_of
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.text import p_equation, p_value, short_labels, wrap_label

FAILURES = [name for name in OUTCOMES if name != "finished"]
MARK = "Zq7"
HOSTILE = [
    f"{MARK}<script>alert(1)</script>",
    f"{MARK}../../x",
    f"{MARK}" + "long " * 60,
    f"{MARK}\U0001f389'\"\\ ${{x}} datum['a'] || 1",
    f"{MARK}שלום",
    f"{MARK}a.b[0]",
]


@pytest.fixture(scope="module")
def all_outcomes(tmp_path_factory):
    """Two variants that finish and one that fails in every way, by turns."""
    chances = [{}, dict.fromkeys(FAILURES, 0.11), {}]
    folder = make(tmp_path_factory.mktemp("all"), 3, 12, outcomes=chances, trace_steps=100, evaluations=50)
    return ganbench.load(folder)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    values = {"r1.gamma": [0.01, 0.1, 1.0], "optimizer.lr": [1e-4, 1e-3]}
    chances = [{"diverged": 0.9}, {}, {"collapsed": 0.5}]
    folder = make(tmp_path_factory.mktemp("map"), 1, 5, outcomes=chances, sweep=values, trace_steps=5)
    return ganbench.load(folder)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = make(
        tmp_path_factory.mktemp("hostile"),
        HOSTILE,
        5,
        metrics={f"{MARK}<img src=x onerror=alert(1)>": "lower"},
        sweep={f"{MARK}.ga'mma[0]": [1.0, 10.0]},
        outcomes=[{"collapsed": 0.3, "diverged": 0.3}],
        trace_steps=20,
        reason=f"{MARK}</script>",
        suite=f"{MARK}suite",
    )
    return ganbench.load(folder)


def made(tmp_path, *args, **options):
    return ganbench.load(make(tmp_path / "made", *args, **options))


def rows_of(spec):
    return [row for rows in spec.get("datasets", {}).values() for row in rows]


@pytest.mark.slow
def test_names_and_order(all_outcomes, sweep):
    drawn = [one.name for one in figures(all_outcomes)]
    assert drawn == [name for name in NAMES if name in drawn]
    assert set(NAMES) - set(drawn) == {"time-to-threshold", "stability-map", "sensitivity"}
    assert {"stability-map", "sensitivity"} <= {one.name for one in figures(sweep)}


def test_every_figure_is_a_valid_spec_that_draws(all_outcomes, sweep):
    found = [*figures(all_outcomes), figure(all_outcomes, "time-to-threshold", threshold=4)]
    found += [figure(sweep, name) for name in ("stability-map", "sensitivity")]
    for one in found:
        assert one.title
        assert one.finding.endswith(".")
        assert len(one.table)
        one.chart.to_dict(validate=True)
        spec = one.spec()
        assert "config" not in spec
        assert one.finding in spec["description"]
        for dark in (False, True):
            svg = vl_convert.vegalite_to_svg(one.spec(dark))
            assert 'role="graphics-symbol"' in svg
            assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_marks_that_stand_for_runs_tell_which(all_outcomes):
    for name in ("final-values", "survival", "metric-curves", "gradient-norms", "logit-gap", "examples"):
        rows = [row for row in rows_of(figure(all_outcomes, name).spec()) if row.get("seed") is not None]
        assert rows
        assert all({"variant", "seed", "outcome"} <= row.keys() for row in rows)
        assert {row["variant"] for row in rows} <= set(all_outcomes.runs["variant"])


def test_themes_differ_in_config_alone(all_outcomes):
    one = figure(all_outcomes, "outcomes")
    light, dark = one.spec(False), one.spec(True)
    assert light.pop("config") != dark.pop("config")
    assert light == dark == one.spec()
    for each in figures(all_outcomes):
        spec = each.spec()
        spec.pop("datasets", None)
        colours = set(re.findall(r'"(#[0-9a-fA-F]{3,8})"', json.dumps(spec)))
        assert all(len(set(re.findall("..", colour[1:7]))) == 3 and colour[1] == "8" for colour in colours)


def luminance(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_contrast_is_that_of_wcag(dark):
    config = theme(dark)
    assert min(contrast(c, config["background"]) for c in config["range"]["category"]) >= 3
    text, muted = config["text"]["color"], config["rule"]["color"]
    assert min(contrast(text, config["background"]), contrast(muted, config["background"])) >= 4.5
    fills = [c for name in ("ordinal", "ramp", "diverging") for c in config["range"][name]]
    assert min(contrast(text, fill) for fill in fills) >= 4.5
    assert len(set(config["range"]["ordinal"])) == len(OUTCOMES)


def test_failure_rates_say_who_failed_most(tmp_path):
    results = made(tmp_path, ["plain", "r1", "ema"], 5, outcomes=[{"collapsed": 1.0}, {}, {"diverged": 0.5}])
    one = figure(results, "failure-rates")
    count = int((results.runs["outcome"] == "diverged").sum())
    assert 0 < count < 5
    assert one.finding.startswith(
        "plain failed most: 5 of 5 runs (100%, 95% interval 57% to 100%); r1 least: 0 of 5 runs "
        f"(0%, 95% interval 0% to 43%); {5 + count} of all 15 runs failed. "
    )
    assert "No two variants differ" in one.finding or "failed more often than" in one.finding
    assert one.table["failures"].tolist() == [5, count, 0]
    drawn = [row for row in rows_of(one.spec()) if "failure_rate" in row]
    assert [row["failure_rate"] for row in drawn] == pytest.approx(one.table["failure_rate"], rel=1e-3)


def test_rates_that_differ_are_said_to(tmp_path):
    results = made(tmp_path, ["plain", "r1"], 10, outcomes=[{"collapsed": 1.0}, {}])
    told = figure(results, "failure-rates").finding
    p = results.compare()["p_failures_holm"].iloc[0]
    assert p < 0.001
    assert re.search(r"Holm-corrected\): plain failed more often than r1 \(p < \.001\)\.$", told)


def test_no_failure_is_no_proof(tmp_path):
    results = made(tmp_path, 2, 5, outcomes=[{}])
    assert "the true rate may still be up to 43%." in figure(results, "failure-rates").finding
    assert figure(results, "outcomes").finding == "All 10 runs finished."
    assert "survival" not in {one.name for one in figures(results)}


def test_outcomes_are_counted(all_outcomes):
    one = figure(all_outcomes, "outcomes")
    counts = all_outcomes.runs.groupby(["variant", "outcome"]).size()
    assert one.table.set_index(["variant", "outcome"])["runs"].to_dict() == counts.to_dict()
    assert one.table.groupby("variant")["share"].sum().tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_failed_runs_stand_beyond_the_worst_that_finished(tmp_path, direction):
    metrics = {"quality": direction}
    results = made(tmp_path, 3, 10, outcomes=[{"collapsed": 0.4}], metrics=metrics)
    runs = [row for row in rows_of(figure(results, "final-values").spec()) if row.get("kind") == "run"]
    failed, finished = ([row["x"] for row in runs if row["failed"] is flag] for flag in (True, False))
    assert len(failed) == 2 * int((results.runs["outcome"] != "finished").sum())
    assert len(set(failed)) == 1
    assert failed[0] < min(finished) if direction == "higher" else failed[0] > max(finished)
    finals = results.runs.loc[results.runs["outcome"] == "finished", "final_quality"]
    drawn = [row["x"] for row in runs if row["when"] == "final" and not row["failed"]]
    assert sorted(drawn) == pytest.approx(sorted(finals), rel=1e-3)


def test_estimates_are_those_of_the_summary(all_outcomes):
    table = figure(all_outcomes, "final-values").table
    summary = all_outcomes.summary().set_index("variant")
    own = table[(table["kind"] == "estimate") & (table["when"] == "final")].set_index("variant")
    for column, name in (("final", "value"), ("final_low", "low"), ("final_high", "high")):
        assert own[name].to_dict() == pytest.approx(summary[column].to_dict(), nan_ok=True)


def test_wide_values_get_a_logarithmic_axis(tmp_path):
    kinds = {}
    for name, shifts in (("near", [0.0, 0.1]), ("far", [0.0, 9.0])):
        results = ganbench.load(
            make(tmp_path / name, 2, 5, outcomes=[{}], metrics={"loss": "lower"}, shifts=shifts)
        )
        text = json.dumps(figure(results, "final-values").spec())
        kinds[name] = '"type": "log"' in text
    assert kinds == {"near": False, "far": True}


def test_comparisons_claim_what_the_corrected_test_shows(tmp_path):
    clear = made(tmp_path, 2, 8, outcomes=[{}], shifts=[0.0, 20.0])
    one = figure(clear, "comparisons")
    assert re.match(r"The difference is significant: technique-001 beats plain \(corrected p < ", one.finding)
    few = ganbench.load(make(tmp_path / "few", 3, 3, outcomes=[{}], shifts=[0.0, 20.0]))
    one = figure(few, "comparisons")
    assert one.finding == (
        "No significant difference at n = 3 runs per variant: the smallest Holm-corrected p of "
        f"2 comparisons is {p_value(few.compare()['p_holm'].min())}, "
        "and with this few runs it cannot fall below .20."
    )
    drawn = [row["p"] for row in rows_of(one.spec()) if "p" in row]
    assert drawn == [p_equation(p) for p in one.table["p_holm"]]
    same = ganbench.load(make(tmp_path / "same", 3, 5, outcomes=[{"diverged": 1.0}]))
    assert "No significant difference" in figure(same, "comparisons").finding


def test_nothing_is_claimed_while_runs_are_missing(tmp_path):
    results = made(tmp_path, 3, 8, outcomes=[{}], shifts=[0.0, 20.0], unfinished=1)
    finding = figure(results, "comparisons").finding
    assert finding.startswith("Nothing is called significant until every run of the suite has a result")


def test_all_pairs_are_a_matrix_that_mirrors(tmp_path):
    results = made(tmp_path, 4, 6, outcomes=[{}], baseline={"loss": "none such"})
    one = figure(results, "comparisons")
    cells = {
        (row["order"], row["column"] - 1): row["effect"] for row in rows_of(one.spec()) if "column" in row
    }
    assert len(cells) == 12
    assert all(cells[i, j] == pytest.approx(1 - cells[j, i], abs=1e-3) for i, j in cells)
    assert len(one.table) == 6


def test_what_cannot_be_compared_is_said(tmp_path):
    results = made(tmp_path, 40, 2, baseline={"loss": "none such"}, trace_steps=0)
    one = next(one for one in figures(results) if one.name == "comparisons")
    assert one.chart is None
    assert "name a baseline" in one.finding


def test_survival_marks_every_run(all_outcomes):
    one = figure(all_outcomes, "survival")
    runs = one.table[one.table["kind"] == "run"]
    failed = all_outcomes.runs["outcome"] != "finished"
    assert runs["event"].tolist() == failed.tolist()
    assert runs.loc[~failed.to_numpy(), "step"].eq(1000).all()
    assert "the first by step " in one.finding
    assert "Failures that only an evaluation can detect are dated to that evaluation." in one.finding
    assert f"{failed.sum()} of 36 runs failed" in one.finding
    curves = all_outcomes.survival()
    for variant, own in runs.groupby("variant"):
        last = curves[curves["variant"] == variant]["survival"].iloc[-1]
        assert own.loc[own["step"].idxmax(), "survival"] == pytest.approx(last)


def test_no_line_of_survival_hides_another(tmp_path):
    results = made(tmp_path, 6, 5, outcomes=[{"diverged": 0.5}, {}, {}])
    [group] = figure(results, "survival").spec()["vconcat"]
    assert len(group["concat"]) == 6
    curves = [row for row in rows_of(figure(results, "survival").spec()) if "at_risk" in row]
    assert all(0 <= value <= 1 for row in curves for value in row["survival"])


def test_time_to_threshold_needs_one(all_outcomes):
    with pytest.raises(BadInput, match="needs a threshold"):
        figure(all_outcomes, "time-to-threshold")
    with pytest.raises(BadInput, match="not a number"):
        figure(all_outcomes, "time-to-threshold", threshold="soon")
    one = figure(all_outcomes, "time-to-threshold", threshold=4)
    reached = int(all_outcomes.time_to("modes", 4)["reached"].sum())
    assert one.finding.startswith(f"{reached} of 36 runs reached modes of 4")


def test_band_counts_stopped_runs_as_worst():
    rows = pd.DataFrame(
        {"key": list("aaabbbccd"), "step": [1, 2, 3] * 2 + [1, 2, 1], "value": [1.0, 1, 1, 2, 2, 2, 3, 3, 4]}
    )
    worst = band(rows, 4, math.inf)
    assert worst["low"].tolist() == [1, 1, 1]
    assert worst["middle"].tolist() == [2.5, 2.5, math.inf]
    assert worst["high"].tolist() == [4, math.inf, math.inf]
    assert worst["n"].tolist() == [4, 4, 4]
    alive = band(rows, 4, math.nan)
    assert alive["middle"].tolist() == [2.5, 2, 1.5]
    assert alive["high"].tolist() == [4, 3, 2]
    assert alive["n"].tolist() == [4, 3, 2]


def test_band_of_what_no_run_could_measure_is_empty():
    rows = pd.DataFrame({"key": list("ab"), "step": [1, 1], "value": [math.nan] * 2})
    found = band(rows, 2, math.nan)
    assert (found["n"].tolist(), found["middle"].isna().tolist()) == ([0], [True])


def test_band_joins_runs_that_were_thinned_differently():
    rows = pd.DataFrame({"key": list("aaabb"), "step": [0, 5, 10, 0, 4], "value": [1.0, 2, 3, 1, 5]})
    assert band(rows, 2, math.nan)["n"].tolist() == [2, 1, 1]
    assert band(rows, 2, math.nan)["middle"].tolist() == [1, 2, 3]


def test_examples_show_the_evidence_of_each_outcome(all_outcomes):
    one = figure(all_outcomes, "examples")
    runs = all_outcomes.runs
    known = runs[(runs["outcome"] != "finished") & runs["onset_step"].notna()]
    assert set(one.table["outcome"]) == set(known["outcome"])
    shaded = [row for row in rows_of(one.spec()) if "first" in row]
    for row in shaded:
        run = runs[(runs["variant"] == row["variant"]) & (runs["seed"] == row["seed"])].iloc[0]
        assert (row["first"], row["last"]) == (run["evidence_first"], run["evidence_last"])
        assert row["outcome"] == run["outcome"]
    saturated = one.table[one.table["outcome"] == "saturated"]
    if len(saturated):
        assert set(saturated["what"]) == {"accuracy"}


def test_stability_map_has_the_cells_of_the_grid(sweep):
    one = figure(sweep, "stability-map")
    assert len(one.table) == 6
    cells = [row for row in rows_of(one.spec()) if "share" in row]
    at = {(row["x"], row["y"]): row["share"] for row in cells}
    finished = (sweep.runs["outcome"] == "finished").groupby(
        [sweep.runs["r1.gamma"], sweep.runs["optimizer.lr"]]
    )
    assert at == pytest.approx(finished.mean().to_dict())
    assert figure(sweep, "stability-map", x="optimizer.lr").table["runs"].sum() == 30
    with pytest.raises(BadInput, match=r"did you mean 'r1\.gamma'"):
        figure(sweep, "stability-map", x="r1.gama")


def test_cells_meet_half_way():
    assert logspaced([0.01, 0.1, 1, 10])
    assert not logspaced([1, 2, 3, 4])
    assert not logspaced([0, 1, 10])
    assert edges([1, 10, 100], log=True)[10.0] == pytest.approx((10**0.5, 10**1.5))
    assert edges([1, 2, 4], log=False) == {1: (0.5, 1.5), 2: (1.5, 3), 4: (3, 5)}
    low, high = edges([5.0], log=False)[5.0]
    assert low < 5 < high


@pytest.mark.slow
def test_many_variants_stay_readable(tmp_path):
    results = made(tmp_path, 60, 5, trace_steps=5)
    for one in figures(results):
        if one.chart is None:
            continue
        variants = {row["variant"] for row in rows_of(one.spec()) if "variant" in row}
        assert len(variants) <= ROWS + 1
        assert one.name == "examples" or "of 60 variants" in one.finding or "of 59 variants" in one.finding


EVALUATED = ("signal", "expr", "test", "update", "filter", "init", "on", "field")


def expressions(node, key=""):
    """All that Vega evaluates: signals, tests, filters, event handlers."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in ("values", "domain"):
                yield from expressions(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from expressions(item, key)
    elif isinstance(node, str) and key in (
        "signal",
        "expr",
        "test",
        "update",
        "filter",
        "init",
        "on",
        "field",
    ):
        yield node


def test_hostile_names_are_data_and_never_expressions(hostile):
    for one in figures(hostile):
        assert one.chart is not None, one.finding
        spec = one.spec(False)
        for row in rows_of(spec):
            assert all(re.fullmatch(r"[a-z_0-9]+", name) for name in row)
        vega = vl_convert.vegalite_to_vega(spec)
        found = list(expressions(vega))
        assert found
        assert [text for text in found if MARK in text] == []
        ElementTree.fromstring(vl_convert.vegalite_to_svg(spec))


def legends(node):
    if isinstance(node, dict):
        yield from node.get("legends", [])
        node = list(node.values())
    for item in node if isinstance(node, list) else []:
        yield from legends(item)


def test_legends_answer_to_clicks(all_outcomes):
    seen = 0
    for one in figures(all_outcomes):
        for legend in legends(vl_convert.vegalite_to_vega(one.spec())):
            seen += 1
            assert any(part.get("interactive") for part in legend["encode"].values()), one.name
    assert seen >= 8


def test_labels_tell_variants_apart():
    assert short_labels(["a/b/x", "a/b/y"]) == {"a/b/x": "x", "a/b/y": "y"}
    long = ["n" * 300 + end for end in ("1", "2")] + ["m" + "n" * 299 + "1"]
    labels = list(short_labels(long).values())
    assert len(set(labels)) == 3
    assert max(map(len, labels)) <= 48
    names = ["same\u202e", "same", "same\n"]
    assert len(set(short_labels(names).values())) == 3
    assert wrap_label("a-rather-long-name/of-a-variant/that-goes-on/and-on").split("\n") == [
        "a-rather-long-name/",
        "of-a-variant/that-goes-on/",
        "and-on",
    ]


def test_options_are_never_cut():
    options = "target-ls.real_target=0.9, target-ls.fake_target=0.1, optimizer.lr.discriminator=0.0316228"
    (label,) = short_labels([f"r1 [{options}]"]).values()
    assert label == f"r1 [{options}]"
    assert wrap_label(label).split("\n") == [
        "r1",
        "[target-ls.real_target=0.9,",
        "target-ls.fake_target=0.1,",
        "optimizer.lr.discriminator=",
        "0.0316228]",
    ]
    (label,) = short_labels([f"r1 [{options}, {options}]"]).values()
    assert label.startswith("r1 [target-ls.real_target=0.9,…")
    assert label.endswith("…optimizer.lr.discriminator=0.0316228]")


def looks_of(node):
    """Label -> the place of its look, in the scales of a chart's colours and dashes."""
    if isinstance(node, dict):
        for channel in ("color", "strokeDash"):
            found = node.get(channel)
            if isinstance(found, dict) and found.get("field") == "label":
                drawn, domain = found["legend"]["values"], found["scale"]["domain"]
                yield {name: domain.index(name) % COLOURS for name in drawn}
        node = list(node.values())
    for item in node if isinstance(node, list) else []:
        yield from looks_of(item)


def test_a_variant_has_one_look_on_a_page(tmp_path):
    results = made(tmp_path, SERIES, 3)
    places = {label: index for index, label in enumerate(labels_of(results).values())}
    for name in ("metric-curves", "gradient-norms", "logit-gap"):
        spec = figure(results, name).spec()
        spec.pop("datasets")
        found = list(looks_of(spec))
        assert len(found) >= 3
        assert all(places[label] == place for look in found for label, place in look.items())


def test_more_lines_than_colours_tell_apart_get_a_chart_each(tmp_path):
    results = made(tmp_path, SERIES + 1, 3)
    for name in ("metric-curves", "gradient-norms"):
        for group in figure(results, name).spec()["vconcat"]:
            assert [len(chart["layer"]) for chart in group["concat"]] == [5] * (SERIES + 1)
            assert group["resolve"]["scale"]["y"] == "shared"


def test_few_runs_have_no_band(tmp_path):
    def banded(runs):
        folder = tmp_path / str(runs)
        folder.mkdir()
        chart = figure(made(folder, 2, runs), "metric-curves")
        return {row["runs"] > SINGLE for row in rows_of(chart.spec()) if "middle" in row}

    assert banded(SINGLE) == {False}
    assert banded(SINGLE + 1) == {True}


@pytest.mark.parametrize("last", [1, 7, 300, 500, 1999, 5000, 123_456])
def test_an_axis_of_steps_names_its_last(last):
    ticks = step_axis(last).to_dict()["axis"]["values"]
    assert ticks[0] == 0
    assert ticks[-1] == last
    assert len(ticks) <= 9
    gaps = np.diff(ticks)
    assert gaps.min() >= 0.5 * gaps.max()


def test_of_many_variants_no_two_in_a_chart_look_alike():
    everyone = [f"v{index}" for index in range(100)]
    look = looks(["v60", "v20", "v99", "v21"], everyone)["color"]["scale"]["domain"]
    assert [look.index(name) for name in ("v60", "v20", "v99", "v21")] == [4, 5, 3, 6]
    assert len(set(look)) == len(look) == 7


@pytest.mark.parametrize(("width", "shown"), [(900, {"1 finished", "2 collapsed"}), (200, {"1", "2"})])
def test_outcomes_are_written_out_where_they_fit(tmp_path, width, shown):
    results = made(tmp_path, 1, 3)
    results.runs["outcome"] = ["finished", "collapsed", "collapsed"]
    write_figure(figure(results, "outcomes"), tmp_path / "o.svg", width=width)
    texts = {node.text or "" for node in ElementTree.parse(tmp_path / "o.svg").iter() if "text" in node.tag}
    assert {text for text in texts if text[:1] in ("1", "2") and "%" not in text} == shown


def test_a_single_swept_option_is_shown_once(tmp_path, sweep):
    alone = made(tmp_path, 1, 2, sweep={"r1.gamma": [0.01, 10**-1.5, 0.1]}, trace_steps=0)
    assert {one.name for one in figures(alone)} & {"stability-map", "sensitivity"} == {"stability-map"}
    with pytest.raises(BadInput, match="a single option was swept: see the stability map"):
        figure(alone, "sensitivity")
    assert ">0.0316228<" in vl_convert.vegalite_to_svg(figure(alone, "stability-map").spec(False))
    spans = r"from \d+% to \d+% with \S+ and from \d+% to \d+% with \S+"
    told = (
        rf"The share of runs that finished ranges {spans}, each option taken alone, "
        r"over all values of the others\."
    )
    assert re.fullmatch(told, figure(sweep, "sensitivity").finding)


def test_names_with_a_slash_stay_whole(tmp_path):
    labels = ["ring/g/hinge/</b>", "ring/g/hinge/<b>x</b>", "ring/g/hinge/../../x", "ring/g/hinge/a/b [r=1]"]
    assert list(short_labels(labels).values()) == ["</b>", "<b>x</b>", "../../x", "a/b [r=1]"]
    known = {"a/b/m/l/t": ["a/b", "m", "l", "t"], "a/c/m/l/t #1f": ["a/c", "m", "l", "t"]}
    assert list(short_labels(known).values()) == ["a/b", "a/c"]
    results = made(tmp_path, ["plain", "own/x"], 2, dataset="data/set", model="my/net", outcomes=[{}])
    assert labels_of(results) == {
        "data/set/my/net/hinge/plain": "plain",
        "data/set/my/net/hinge/own/x": "own/x",
    }


@pytest.mark.slow
def test_the_same_results_give_the_same_figures(all_outcomes):
    again = ganbench.load(all_outcomes.path)
    for one, other in zip(figures(all_outcomes), figures(again), strict=True):
        assert one.spec() == other.spec()


def test_numbers_are_short_and_finite(all_outcomes):
    for one in figures(all_outcomes):
        text = json.dumps(one.spec(), allow_nan=False)
        assert not re.search(r"\d\.\d{9}", text)


def test_bad_input_has_the_nearest_choice(all_outcomes):
    with pytest.raises(BadInput, match="did you mean 'failure-rates'"):
        figure(all_outcomes, "failure-rate")
    with pytest.raises(BadInput, match="no option 'metrics'; did you mean 'metric'"):
        figure(all_outcomes, "final-values", metrics="modes")
    with pytest.raises(BadInput, match="did you mean 'modes'"):
        figure(all_outcomes, "final-values", metric="mode")
    with pytest.raises(BadInput, match="no option was swept"):
        figure(all_outcomes, "stability-map")


def test_runs_without_rows_leave_no_figure(tmp_path):
    results = made(tmp_path, 2, 2, unfinished=2)
    for one in figures(results):
        assert one.finding


def test_traces_that_are_gone_are_no_traceback(tmp_path):
    results = made(tmp_path, 2, 5, outcomes=[{"diverged": 0.8}])
    for folder in stack_folders(results.path):
        for *_, path in StackFolder(folder.path).trace_parts():
            path.unlink()
    drawn = {one.name for one in figures(ganbench.load(results.path))}
    assert {"failure-rates", "survival", "metric-curves"} <= drawn
    assert not {"gradient-norms", "logit-gap"} & drawn


def test_files(all_outcomes, tmp_path):
    one = figure(all_outcomes, "final-values")
    assert write_figure(one, tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")
    root = ElementTree.fromstring(write_figure(one, tmp_path / "f.svg", width=300).read_text())
    assert float(root.attrib["width"]) == pytest.approx(300, abs=12)
    with Image.open(write_figure(one, tmp_path / "f.png", width=300, dark=True)) as picture:
        assert picture.width == pytest.approx(900, abs=40)
        assert max(picture.convert("RGB").getpixel((1, 1))) < 50
    table = pd.read_csv(write_figure(one, tmp_path / "deep" / "f.csv"))
    assert table["value"].tolist() == pytest.approx(one.table["value"].tolist(), nan_ok=True)
    assert r"\toprule" in write_figure(one, tmp_path / "f.tex").read_text()
    with pytest.raises(BadInput, match=r"'gif' cannot be written; choose from csv, pdf"):
        write_figure(one, tmp_path / "f.gif")
    with pytest.raises(BadInput, match="cannot be written"):
        write_figure(one, tmp_path / "f.svg" / "x.csv")


def test_command(all_outcomes, tmp_path):
    out = tmp_path / "rates.svg"
    arguments = [
        "figure",
        "failure-rates",
        str(all_outcomes.path),
        "-o",
        str(out),
        "--width",
        "320",
        "--dark",
    ]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "failed most" in done.output
    assert ElementTree.parse(out).getroot().tag.endswith("svg")
    for baseline, missing in (("techniques=technique-001", 1), ("ring/mlp-gan/hinge/technique-002", 2)):
        out = tmp_path / "pairs.csv"
        arguments = ["figure", "comparisons", str(all_outcomes.path), "-o", str(out), "--baseline", baseline]
        assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
        assert set(pd.read_csv(out)["against"]) == {all_outcomes.runs["variant"].unique()[missing]}
    wrong = CliRunner().invoke(cli, [*arguments[:-1], "los=hinge"])
    assert "'los' is not a key of a baseline" in str(wrong.exception)
    wrong = CliRunner().invoke(cli, ["figure", "nonsense", str(all_outcomes.path)])
    assert isinstance(wrong.exception, BadInput)
    told = CliRunner().invoke(cli, ["figure", "--help"]).output
    assert all(name in re.sub(r"\s+", " ", told) for name in NAMES)


@pytest.mark.slow
def test_five_hundred_runs_fit_in_six_megabytes(tmp_path):
    results = made(tmp_path, 50, 10, steps=2000, trace_steps=2000, evaluations=20)
    sizes = {
        one.name: len(json.dumps(one.spec(), separators=(",", ":")).encode())
        for one in figures(results)
        if one.chart is not None
    }
    assert sum(sizes.values()) < 6_000_000, sizes
