from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import altair as alt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_results import make
from run_cli import ganbench_here

from ganbench import stats
from ganbench.report import ties
from ganbench.report.content import cautions, leaves, settings
from ganbench.report.figures import NAMES, Figure, figures
from ganbench.report.onsets import onset_texts
from ganbench.report.page import write_page
from ganbench.report.page.embedded import in_script, packed, packed_rows, safe_json, source_hash
from ganbench.report.page.factors import failed_runs, failures_by_factor
from ganbench.report.page.further import further
from ganbench.report.page.page import page_text
from ganbench.report.page.pictures import MOST_RUNS, examples, gallery
from ganbench.report.page.sections import SECTIONS, answered
from ganbench.results import load
from ganbench.text import interval, number

HOSTILE = (
    *("<script>alert(1)</script>", "../../x", "x" * 300, "😀 مرحبا", "\u202eabc", "a&amp;b\"c'd`"),
    *("</script><img src=x onerror=alert(1)>", "{{ 7*7 }}", "line\nbreak\x1b[31m\u2028"),
)


class Page(HTMLParser):
    """What a page has in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data: dict[str, str] = {}
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        attributes = self.tags[-1][1] if self.tags else {}
        if self.cdata_elem == "script" and attributes.get("type") == "application/json":
            self.data[str(attributes["id"])] = data
        elif self.cdata_elem == "script":
            self.scripts.append(data)
        elif self.cdata_elem is None:
            self.text += data

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def policy(self) -> str:
        return next(str(m["content"]) for m in self.of("meta") if m.get("http-equiv"))


def chart(values) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=values)).mark_point().encode(x="x:Q", y="variant:N")


def fake(name: str = "failure-rates", variant: str = "a", finding: str = "It was seen.") -> Figure:
    rows = [{"variant": variant, "x": 1.0}, {"variant": "b", "x": 2.0}]
    return Figure(name, f"Title of {name}", finding, chart(rows), pd.DataFrame(rows))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return load(make(tmp_path_factory.mktemp("made"), variants=3, seeds=6, sheets=True))


@pytest.fixture(scope="module")
def page(made):
    return Page(page_text(made, [fake(), fake("survival", finding="They <b>die</b> at 5 & 6.")]))


def test_a_page_asks_for_nothing_from_outside(page):
    assert not [a for tag, a in page.tags if tag in ("link", "iframe", "object", "embed", "base", "form")]
    for tag, attributes in page.tags:
        assert not {"srcset", "action", "ping"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert tag == "img" or "src" not in attributes
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in page.of("img"))
    assert all(str(link["href"]).startswith("#") for link in page.of("a"))
    assert "@import" not in page.text
    assert "url(" not in page.text


def test_the_policy_lets_only_the_pages_own_scripts_run(page):
    assert "default-src 'none'" in page.policy
    assert "unsafe-eval" not in page.policy
    script_sources = re.search(r"script-src ([^;]*);", page.policy)[1].split()
    assert script_sources == [source_hash(script) for script in page.scripts]
    assert len(page.scripts) == 2


def test_every_figure_has_its_finding_its_table_and_its_csv(page):
    for name in ("failure-rates", "survival", "failed-runs"):
        assert {"id": f"figure-{name}", "class": "figure", "data-figure": name}.items() <= next(
            f.items() for f in page.of("figure") if f.get("id") == f"figure-{name}"
        )
        drawing = json.loads(page.data[f"data-{name}"])
        assert drawing["table"]["rows"] > 0
    assert "They <b>die</b> at 5 & 6." in page.text
    saves = [b["data-save"] for b in page.of("button") if "data-save" in b]
    assert saves.count("csv") == len([f for f in page.of("figure") if "data-figure" in f])
    labels = [d["aria-label"] for d in page.of("div") if d.get("role") == "img"]
    assert labels[0] == "Title of failure-rates. It was seen."


def test_links_and_labels_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [str(link["href"])[1:] for link in page.of("a")]
    targets += [str(a["aria-labelledby"]) for _, a in page.tags if "aria-labelledby" in a]
    assert set(targets) <= set(ids)


def test_the_summary_tells_counts_and_findings_in_words(made, page):
    failed = int((made.runs["outcome"] != "finished").sum())
    assert f"{failed} of 18 runs failed" in page.text
    assert "It was seen." in page.text
    summary = made.summary()
    for variant, count in zip(summary["variant"], summary["failures"], strict=True):
        assert variant in page.text
        assert f"{count} of 6" in page.text


def test_the_page_says_how_to_do_it_again(made, page):
    for text in (
        "ganbench run made",
        "torch",
        "2.15.0",
        "loss hinge ganbench 0.1.0",
        "seeds 0, 1, 2, 3, 4, 5",
    ):
        assert text in page.text
    assert json.loads(page.data["suite-lock"])["suite"] == "made"


def test_filters_name_every_variant_outcome_and_seed(made, page):
    data = json.loads(page.data["data"])
    assert data["filters"]["variant"] == made.runs["variant"].unique().tolist()
    assert data["filters"]["seed"] == list(range(6))
    assert set(data["filters"]["outcome"]) == set(made.runs["outcome"])
    assert data["runs"]["rows"] == 18


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_wherever_they_stand(tmp_path, name):
    results = load(make(tmp_path, variants=["plain", name], seeds=2, suite=name, reason=name, sheets=True))
    label = results.runs["variant"].iloc[-1]
    page = Page(page_text(results, [fake(variant=label, finding=name)]))
    assert [
        a for tag, a in page.tags if tag == "script" and a.get("type") not in ("application/json", "module")
    ] == []
    assert len(page.scripts) == 2
    assert all(str(image["src"]).startswith("data:image/png") for image in page.of("img"))
    assert "{{ 49" not in page.text
    assert "\u202e" not in page.text
    assert "\x1b" not in page.text
    drawing = json.loads(page.data["data-failure-rates"])
    assert label in drawing["table"]["columns"]["variant"]["of"]
    page_text(results, []).encode()


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_json_in_a_page_is_the_same_value_and_ends_nothing(value):
    text = safe_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")
    assert text.isascii()


def test_scripts_cannot_end_their_element():
    assert "</script" not in in_script("a = '</script>';\r\n")
    assert in_script("a;\r\nb;\r") == "a;\nb;\n"


def unpacked(table):
    columns = {
        name: c if isinstance(c, list) else [None if at < 0 else c["of"][at] for at in c["at"]]
        for name, c in table["columns"].items()
    }
    return pd.DataFrame(columns, index=range(table["rows"]))


def test_packed_tables_keep_every_value():
    frame = pd.DataFrame(
        {
            "text": ["a", "b", None, "a"],
            "number": [1.5, np.inf, -np.inf, np.nan],
            "whole": pd.array([1, None, 3, 4], dtype="Int64"),
            "truth": [True, False, True, True],
            "mixed": ["a", 1, None, 2.5],
        }
    )
    found = unpacked(json.loads(safe_json(packed(frame))))
    assert found["text"].tolist()[:2] == ["a", "b"]
    assert found["number"].tolist() == [1.5, "inf", "-inf", None]
    assert found["whole"].tolist()[0] == 1
    assert found["truth"].tolist() == [True, False, True, True]
    assert found["mixed"].tolist() == ["a", 1, None, 2.5]


def test_packed_rows_may_lack_fields():
    found = packed_rows([{"a": 1}, {"b": "x"}])
    assert found == {"rows": 2, "columns": {"a": [1, None], "b": {"of": ["x"], "at": [-1, 0]}}}


def test_every_figure_has_a_section_and_none_is_lost():
    known = {name for section in SECTIONS for name in section.names}
    assert set(NAMES) <= known
    sections = answered([fake("of-a-plugin"), fake("cost")])
    assert [(s.id, [f.name for f in s.figures]) for s in sections] == [
        ("cost", ["cost"]),
        ("more", ["of-a-plugin"]),
    ]


def test_failures_are_told_by_loss_and_tested(made):
    runs = pd.concat(
        [
            pd.DataFrame({"loss": loss, "outcome": ["diverged"] * k + ["finished"] * (n - k)})
            for loss, k, n in (("hinge", 2, 15), ("wasserstein", 11, 15), ("minimax", 5, 15))
        ]
    ).assign(techniques="plain", model="m", dataset="ring", onset_step=7)
    runs["variant"] = runs["loss"] + np.where(np.arange(len(runs)) % 2, "/a", "/b")
    (figure,) = failures_by_factor(type("Results", (), {"runs": runs})())
    assert figure.name == "failures-by-loss"
    assert figure.table["loss"].tolist() == ["wasserstein", "minimax", "hinge"]
    p = 3 * stats.rates_differ(11, 15, 2, 15)
    assert figure.table["p_against_least"].iloc[0] == pytest.approx(p)
    assert "wasserstein failed most, in 11 of 15 runs (73%), half of these by step 7" in figure.finding
    assert "and hinge least, in 2 of 15 runs (13%)" in figure.finding
    assert "is significant" in figure.finding
    low = stats.wilson(11, 15).low
    assert figure.table["failure_low"].iloc[0] == low


def test_all_who_tie_are_named():
    runs = pd.concat(
        [
            pd.DataFrame({"loss": loss, "outcome": ["diverged"] * k + ["finished"] * (n - k)})
            for loss, k, n in (("target-ls", 4, 6), ("hinge", 3, 3), ("non-saturating", 2, 3))
        ]
    ).assign(techniques="plain", model="m", dataset="ring", onset_step=7)
    runs["variant"] = runs["loss"] + np.where(np.arange(len(runs)) % 2, "/a", "/b")
    (figure,) = failures_by_factor(type("Results", (), {"runs": runs})())
    assert (
        "hinge failed most, in 3 of 3 runs (100%), half of these by step 7, and target-ls and "
        "non-saturating least, in 4 of 6 runs (67%) and 2 of 3 runs (67%); the difference is not significant"
    ) in figure.finding
    tied = pd.DataFrame({"failures": [2, 2], "runs": [3, 3], "failure_rate": [2 / 3, 2 / 3]})
    assert ties.counted(tied, lambda row: "67%") == "2 of 3 runs (67%) each"


def test_levels_are_compared_within_a_dataset_and_a_model_only():
    runs = pd.DataFrame(
        {
            "loss": ["hinge", "elbo"] * 5,
            "model": ["gan", "vae"] * 5,
            "dataset": "ring",
            "techniques": "plain",
            "onset_step": 1,
            "outcome": ["diverged", "finished"] * 5,
        }
    )
    runs["variant"] = [f"{model}/{index}" for index, model in enumerate(runs["model"])]
    names = [figure.name for figure in failures_by_factor(type("Results", (), {"runs": runs})())]
    assert names == ["failures-by-model"]


def test_without_failures_there_is_nothing_to_tell_of_them(tmp_path):
    results = load(make(tmp_path, variants=2, seeds=2, outcomes=[{}]))
    assert failures_by_factor(results) == []
    assert failed_runs(results) == []
    page = Page(page_text(results, []))
    assert "All 4 runs finished." in page.text


@pytest.fixture
def collapsed(tmp_path):
    """A run that collapsed at the evaluation at step 200, one at 900, one that diverged at 77."""
    results = load(make(tmp_path, variants=1, seeds=3, outcomes=[{"collapsed": 1.0}], evaluations=10))
    ends = {"outcome": ["collapsed", "unstable", "diverged"], "onset_step": [200, 900, 77]}
    results.runs[["outcome", "onset_step"]] = pd.DataFrame(ends)
    results.runs["seen_by"] = ["evaluation", "evaluation", "trace"]
    steps = [100, 200, 800, 900]
    rows = pd.DataFrame({"key": np.repeat(results.runs["key"].to_numpy(), 4), "step": steps * 3})
    results.__dict__["evaluations"] = rows.assign(variant="v", seed=0, metric="modes", value=1.0)
    return results


def test_an_onset_is_told_as_exactly_as_it_is_known(collapsed):
    keys = collapsed.runs["key"].tolist()
    texts = onset_texts(collapsed)
    assert [texts[key] for key in keys] == [
        "between steps 100 and 200",
        "between steps 800 and 900",
        "at step 77",
    ]
    collapsed.lock["verdict"]["warmup"] = 0.15  # nothing before step 150 was judged
    assert onset_texts(collapsed)[keys[0]] == "by step 200"
    collapsed.runs["seen_by"] = "evaluation"
    assert onset_texts(collapsed)[keys[2]] == "by step 77"
    assert failed_runs(collapsed)[0].table["onset"].tolist()[0] == "by step 200"


def test_what_is_mixed_is_said_of_each_variant(made):
    assert list(cautions(made)) == []
    mixed = load(made.path)
    mixed.runs["executor"] = ["compiled"] * 12 + ["eager"] * 6
    ((what, rest),) = cautions(mixed)
    assert what == "Mixed executors"
    assert rest.startswith("(compiled: plain and technique-001; eager: technique-002). Runs from different")


def test_settings_tell_what_is_not_as_usual():
    adam = {"name": "adam", "lr": 10**-3.5, "betas": [0.5, 0.999], "eps": 1e-8, "weight_decay": 0.0}
    assert (
        list(settings({"optimizer": {"g": adam, "d": adam}}))[2] == "adam lr=0.000316228 betas=[0.5, 0.999]"
    )
    usual = adam | {"betas": [0.9, 0.999]}
    told = "g: adam lr=0.000316228, d: own lr=1 x=0.5"
    assert list(settings({"optimizer": {"g": usual, "d": {"name": "own", "lr": 1, "x": 0.5}}}))[2] == told
    assert list(leaves({"commit": None, "packages": {"torch": "2", "jax": None}})) == [
        ("packages.torch", "2")
    ]


def test_a_page_of_a_suite_without_runs_makes_sense(tmp_path):
    results = load(make(tmp_path, variants=3, seeds=3, unfinished=3))
    page = Page(page_text(results, []))
    words = " ".join(page.text.split())
    for told in (
        "No run has ended yet.",
        "9 runs of the suite have no result yet",
        "What will be trained (3 var",
    ):
        assert told in words
    for senseless in ("0 variants", "seeds .", "Components", "IQM", "What was trained"):
        assert senseless not in words
    assert "seeds 0, 1, 2." in words
    (filters,) = [details for details in page.of("details") if details.get("id") == "filters"]
    assert "hidden" in filters


def test_pictures_show_before_and_after_the_onset_and_a_good_run(tmp_path):
    results = load(make(tmp_path, variants=2, seeds=8, outcomes=[{"collapsed": 0.5}], sheets=True))
    for example in examples(results):
        captions = [picture.caption for picture in example.pictures]
        assert example.outcome == "collapsed"
        assert captions[-1].startswith("for comparison")
        steps = [int(re.search(r"step ([\d,]+)", c)[1].replace(",", "")) for c in captions[:-1]]
        assert steps == sorted(set(steps))
        assert re.fullmatch(r"(by step|between steps [\d,]+ and) [\d,]+", example.onset)
        onset = int(example.onset.split()[-1].replace(",", ""))
        assert not captions[0].startswith("before") or steps[0] < onset


def test_a_variant_is_shown_at_its_best_median_and_worst_and_at_a_failure(tmp_path):
    results = load(make(tmp_path, variants=2, seeds=9, outcomes=[{"collapsed": 0.5}, {}], sheets=True))
    shown = gallery(results)
    assert list(shown.real) == ["ring"]
    runs = results.runs
    for variant, pictures in shown.samples.items():
        own = runs[runs["variant"] == variant]
        finished = own[own["outcome"] == "finished"].sort_values("final_modes", ascending=False)
        captions = [picture.caption for picture in pictures]
        seeds = [finished["seed"].iloc[at] for at in (0, (len(finished) - 1) // 2, -1)]
        for what, seed, caption in zip(("best", "median", "worst"), seeds, captions, strict=False):
            assert caption == f"{what}: seed {seed}, step 1,000"
        assert len(captions) == 3 + (own["outcome"] == "collapsed").any()
    assert any(caption.startswith("collapsed: ") for caption in captions_of(shown))


def captions_of(shown):
    return [picture.caption for pictures in shown.samples.values() for picture in pictures]


def test_few_finished_runs_are_shown_once_each(tmp_path):
    for count, expected in ((1, ["finished"]), (2, ["best", "worst"]), (3, ["best", "median", "worst"])):
        folder = tmp_path / str(count)
        folder.mkdir()
        shown = gallery(load(make(folder, variants=1, seeds=count, outcomes=[{}], sheets=True)))
        assert [caption.split(":")[0] for caption in captions_of(shown)] == expected


def test_pictures_that_are_gone_or_are_none_are_left_out(tmp_path):
    results = load(make(tmp_path, variants=24, seeds=1, outcomes=[{"collapsed": 1.0}], sheets=True))
    assert len(examples(results)) == MOST_RUNS
    for path in results.sheets["path"]:
        path.write_bytes(b"<svg onload=alert(1)>")
    assert examples(results) == []
    for path in results.sheets["path"]:
        path.unlink()
    assert examples(results) == []


def test_a_figure_that_cannot_be_drawn_is_left_out_with_a_warning(made, tmp_path, monkeypatch):
    def broken(results, names):
        raise ZeroDivisionError("no such colour")

    monkeypatch.setattr("ganbench.report.page.page.figures", broken)
    told: list[str] = []
    page = Page(write_page(made, tmp_path, told.append).read_text(encoding="utf-8"))
    assert told[0] == "the figure failure-rates could not be drawn: ZeroDivisionError: no such colour"
    assert "data-failed-runs" in page.data


def test_a_report_opens_in_the_browser(made, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    done = ganbench_here("report", made.path, "--open")
    assert (done.code, done.err) == (0, "")
    assert opened == [(made.path / "report.html").resolve().as_uri()]


def test_every_metric_is_on_the_page(tmp_path):
    names = ["modes", "a<b>", "A b", "spread", "radius-gap"]
    results = load(make(tmp_path, 2, 4, metrics=dict.fromkeys(names, "lower"), outcomes=[{}], trace_steps=5))
    told: list[str] = []
    beside = list(further(results, told.append))
    assert [(one.metric, one.id, one.open) for one in beside] == [
        ("a<b>", "a-b", True),
        ("A b", "a-b-2", True),
        ("spread", "spread", True),
        ("radius-gap", "radius-gap", False),
    ]
    page = Page(page_text(results, [fake()], beside))
    own = results.summary("radius-gap").iloc[0]
    words = " ".join(page.text.split())
    assert f"{number(own['final'])} {interval(own['final_low'], own['final_high'])}" in words
    assert "a<b> (lower is better)" in words
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {f"figure-metric-curves-{one.id}" for one in beside} | {"metrics", "metric-a-b-2"} <= set(ids)
    assert json.loads(page.data["data-metric-curves-spread"])["table"]["rows"] > 0
    rows = [row["data-variant"] for row in page.of("tr") if "data-variant" in row]
    assert rows.count("0") == 1 + len(beside) + 1  # summary, further metrics, what was trained
    assert told == []


def test_the_main_metric_of_the_page_is_what_was_asked(made):
    page = Page(page_text(made.by("energy-distance"), figures(made.by("energy-distance"), ["final-values"])))
    assert "Final and best energy-distance" in page.text
    assert [one.metric for one in further(made.by("energy-distance"), print)] == ["modes"]


def test_the_page_of_real_figures_is_written_whole(made, tmp_path):
    path = write_page(made, tmp_path)
    page = Page(path.read_text(encoding="utf-8"))
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert {"data-failure-rates", "data-outcomes", "data-final-values"} <= page.data.keys()
    spec = json.loads(page.data["data-failure-rates"])["spec"]
    assert "config" not in spec
    assert "datasets" not in spec
    assert path.stat().st_size < 3_000_000
