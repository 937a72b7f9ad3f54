from __future__ import annotations

import json
import re
import shutil
from contextlib import contextmanager
from itertools import pairwise

import pytest
from made_results import FAILURES, make

from ganbench.report.page import write_page
from ganbench.results import load

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
HOSTILE = (
    "<script>alert(1)</script>",
    "../../x",
    "x" * 300,
    "😀",
    "مرحبا بالعالم",
    "\u202eabc",
    "a,b.c[0]\\'\"",
)
DRAWN = """() => report.figures.every(({ chart, stale }) => !chart ||
    (!stale && (chart.hidden || chart.querySelector('svg.marks, canvas.marks'))))"""

INK = """() => [...new Set([...document.querySelectorAll('.chart svg')].flatMap((svg) =>
    Object.keys(report.page.themes).filter((name) =>
        svg.outerHTML.includes(report.page.themes[name].axis.labelColor))))].join()"""
"""The themes that the charts are drawn in."""
BOXES = """(selector) => Object.fromEntries([...document.querySelectorAll('.figure:has(svg.marks)')]
    .map((figure) => [figure.dataset.figure, [...figure.querySelectorAll(selector)].map((node) => {
        const { left, right, top, bottom } = node.getBoundingClientRect();
        return { left, right, top, bottom, text: node.textContent };
    })]))"""
"""Figure -> where its parts of a kind stand."""
TICKS = {f"{tick}%" for tick in range(0, 101, 20)} | {f"{tick / 10:.1f}" for tick in range(0, 11, 2)}


def middle(box):
    """Its height on the page."""
    return (box["top"] + box["bottom"]) / 2


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def every_outcome(tmp_path_factory):
    """A suite with every outcome in it."""
    folder = make(
        tmp_path_factory.mktemp("every"),
        variants=["plain", *(f"t-{name}" for name in (*FAILURES, "incompatible"))],
        seeds=5,
        outcomes=[{}, *({name: 0.7} for name in (*FAILURES, "incompatible"))],
        sheets=True,
    )
    return write_page(load(folder), folder)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = make(
        tmp_path_factory.mktemp("hostile"),
        variants=HOSTILE,
        seeds=3,
        suite=HOSTILE[0],
        reason="</script><img src=x onerror=alert(1)>",
        outcomes=[{"collapsed": 0.5}],
        sheets=True,
    )
    return write_page(load(folder), folder)


@contextmanager
def opened(browser, path, width=1440, scheme="light", address="", unfolded=True):
    """The page with the network off. Any request, dialog or message on the console fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", offline=True
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on(
        "request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url)
    )
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri() + address)
    if unfolded:
        page.evaluate("document.getElementById('unfold').click()")
    yield page
    assert wrong == []
    context.close()


def draw_all(page, seconds=30):
    for _ in range(10 * seconds):
        if page.evaluate(DRAWN):
            return
        page.wait_for_timeout(100)
    raise AssertionError("a chart was not drawn")


def settled(page, seconds=5):
    """Wait for the charts to take over a choice."""
    page.wait_for_timeout(300)
    draw_all(page, seconds)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 400])
def test_a_page_opens_without_a_network_and_fits(browser, every_outcome, width, scheme):
    with opened(browser, every_outcome, width, scheme) as page:
        draw_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        assert page.locator(".chart").count() >= 5


def test_hostile_names_are_only_text(browser, hostile):
    for width in (1440, 400):
        with opened(browser, hostile, width) as page:
            draw_all(page)
            assert page.locator("h1").inner_text() == HOSTILE[0]
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("img:not([src^='data:image/png'])").count() == 0
            page.evaluate(
                "() => document.querySelectorAll('details').forEach((node) => { node.open = true; })"
            )
            page.wait_for_timeout(300)
            assert page.locator("td", has_text=HOSTILE[0]).count() > 0
            page.locator("#filters[open] .choices input, #filters:not([open]) > summary").first.click()
            settled(page)


def test_a_filter_hides_rows_and_says_so(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        draw_all(page)
        assert page.locator("#shown").is_hidden()
        rows = page.locator("#summary tbody tr:visible")
        every = rows.count()
        page.locator("fieldset[data-field=variant] .choices input").first.uncheck()
        settled(page)
        assert page.locator("#shown").inner_text().startswith("45 of 50 runs shown.")
        assert page.locator("fieldset[data-field=variant] legend").inner_text() == "Variants 9 of 10"
        assert rows.count() == every - 1
        assert "variant=" in page.evaluate("location.hash")
        first = page.evaluate("report.page.filters.variant[0]")
        drawn = page.evaluate(
            """() => report.figures.filter(({view}) => view).flatMap(({view, rows}) =>
                Object.keys(rows).flatMap((name) => { try { return view.data(name); } catch { return []; } })
                .map((row) => row.variant))"""
        )
        assert drawn
        assert first not in drawn
        page.locator("#reset").click()
        settled(page)
        assert page.locator("#shown").is_hidden()
        assert rows.count() == every


@pytest.mark.slow
def test_an_outcome_filter_reaches_tables_pictures_and_the_address(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        outcomes = page.locator("fieldset[data-field=outcome]")
        outcomes.get_by_role("button", name="none").click()
        outcomes.get_by_label("diverged").check()
        settled(page)
        table = page.locator("#figure-failed-runs table")
        assert set(table.locator("tbody td:nth-child(3)").all_inner_texts()) == {"diverged"}
        assert set(page.locator(".examples article:visible em").all_inner_texts()) <= {"diverged"}
        address = page.evaluate("location.hash")
    with opened(browser, every_outcome, address=address) as again:
        assert again.locator("#shown").is_visible()
        assert again.locator("fieldset[data-field=outcome] input:checked").count() == 1


@pytest.mark.slow
def test_nothing_shown_is_said_and_can_be_undone(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        page.locator("fieldset[data-field=seed]").get_by_role("button", name="none").click()
        page.locator("fieldset[data-field=variant]").get_by_role("button", name="none").click()
        settled(page)
        assert page.locator("#shown").inner_text().startswith("0 of 50 runs shown.")
        assert page.locator("#figure-outcomes .empty").is_visible()
        page.locator("#reset").click()
        settled(page)
        assert page.locator("#figure-outcomes .chart svg").is_visible()


def test_a_legend_entry_dims_the_others(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        draw_all(page)
        figure = page.locator("#figure-outcomes")
        figure.scroll_into_view_if_needed()
        bars = """() => [...document.querySelectorAll('#figure-outcomes .mark-rect path')]
            .map((bar) => bar.getAttribute('opacity'))"""
        before = page.evaluate(bars)
        figure.locator(".role-legend-entry .role-legend-symbol path").first.click()
        settled(page)
        assert page.evaluate(bars) != before


def test_a_link_of_the_navigation_leads_to_its_section(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        draw_all(page)
        link = page.locator("nav a[href='#failures']")
        link.click()
        page.wait_for_timeout(300)
        top = page.evaluate("document.getElementById('failures').getBoundingClientRect().top")
        assert -5 <= top <= 100
        assert page.evaluate("location.hash") == "#failures"
        page.keyboard.press("Tab")
        assert page.evaluate("document.getElementById('failures').contains(document.activeElement)")


@pytest.mark.slow
def test_the_theme_button_turns_page_and_charts(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        draw_all(page)
        assert page.evaluate(INK) == "light"
        page.locator("#theme").click()
        settled(page)
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate(INK) == "dark"
        assert page.locator("#theme").inner_text() == "Light"


@pytest.mark.slow
def test_every_table_opens_and_saves_as_csv(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        figure = page.locator("#figure-failure-rates")
        figure.locator("details > summary").click()
        figure.locator("tbody tr").first.wait_for()
        assert figure.locator("tbody tr").count() == 10
        with page.expect_download() as download:
            figure.locator("[data-save=csv]").click()
        assert download.value.suggested_filename == "failure-rates.csv"
        lines = download.value.path().read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("variant,runs,failures,")
        assert len(lines) == 11
        with page.expect_download() as download:
            figure.locator("[data-save=svg]").click()
        assert download.value.path().read_text(encoding="utf-8").startswith("<svg")
        with page.expect_download() as download:
            page.locator("#lock").click()
        assert json.loads(download.value.path().read_text(encoding="utf-8"))["suite"] == "made"


def test_the_page_can_be_used_by_keyboard(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "summary"
        box = page.locator("fieldset[data-field=outcome] input").first
        box.focus()
        page.keyboard.press("Space")
        assert not box.is_checked()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.slow
def test_everything_is_on_paper_and_light(browser, every_outcome):
    with opened(browser, every_outcome, scheme="dark") as page:
        page.evaluate(
            "window.print = () => { window.printed = document.querySelectorAll('svg.marks').length; }"
        )
        page.locator("#print").click()
        draw_all(page)
        page.wait_for_timeout(300)
        assert page.evaluate("window.printed") >= 5
        assert page.evaluate(INK) == "light"
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("nav").is_hidden()
        assert len(re.findall(rb"/Type\s*/Page\b", page.pdf())) >= 3


@pytest.mark.slow
def test_on_a_phone_nothing_is_cut_off(browser, every_outcome, hostile):
    for path in (every_outcome, hostile):
        with opened(browser, path, 400) as page:
            draw_all(page)
            links = page.locator("nav a").evaluate_all(
                "(links) => links.map((link) => link.getBoundingClientRect().right)"
            )
            assert len(links) >= 8
            assert max(links) <= 400
            for selector in (".role-legend", ".role-axis-title text", ".role-title text"):
                for name, boxes in page.evaluate(BOXES, selector).items():
                    assert all(box["left"] >= 0 and box["right"] <= 400 for box in boxes), (name, boxes)


@pytest.mark.parametrize("width", [1440, 400])
def test_labels_stand_beside_their_rows_and_clear_of_each_other(browser, hostile, width):
    with opened(browser, hostile, width) as page:
        draw_all(page)
        labels = page.evaluate(BOXES, ".role-axis-label text")
        texts = page.evaluate(BOXES, ".role-mark text")
        for name, mark in (("failure-rates", " of 3"), ("comparisons", "p = ")):
            rows = [box for box in labels[name] if box["text"] not in TICKS]
            marks = [box for box in texts[name] if mark in box["text"]]
            assert len(rows) == len(marks) >= 6
            for row, other in zip(sorted(rows, key=middle), sorted(marks, key=middle), strict=True):
                assert middle(row) == pytest.approx(middle(other), abs=4)
            assert all(one["bottom"] <= other["top"] for one, other in pairwise(sorted(rows, key=middle)))
        note = next(box for box in texts["final-values"] if box["text"] == "failed")
        axis = min(box["left"] for box in page.evaluate(BOXES, ".role-axis-domain line")["final-values"])
        assert note["left"] >= axis


@pytest.mark.slow
def test_a_filter_reaches_csv_counts_and_legends(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        draw_all(page)
        page.locator("fieldset[data-field=variant] .choices input").first.uncheck()
        page.locator("fieldset[data-field=outcome]").get_by_label("diverged").uncheck()
        settled(page)
        figure = page.locator("#figure-failure-rates")
        assert figure.locator("details summary span").inner_text() == "(9 of 10 rows)"
        with page.expect_download() as download:
            figure.locator("[data-save=csv]").click()
        assert download.value.suggested_filename == "failure-rates-filtered.csv"
        assert len(download.value.path().read_text(encoding="utf-8").splitlines()) == 1 + 9
        legends = page.evaluate(BOXES, ".role-legend-label text")
        titles = page.locator("#figure-survival .role-title text").all_text_contents()
        assert len(titles) == 1 + 9
        assert "plain" not in titles
        assert "diverged" not in [box["text"] for box in legends["outcomes"]]
        assert "collapsed" in [box["text"] for box in legends["outcomes"]]
        page.locator("#reset").click()
        settled(page)
        assert figure.locator("details summary span").inner_text() == "(10 rows)"
        legends = page.evaluate(BOXES, ".role-legend-label text")
        assert "diverged" in [box["text"] for box in legends["outcomes"]]


@pytest.mark.slow
def test_a_filtered_chart_is_as_high_as_its_rows(browser, every_outcome):
    with opened(browser, every_outcome) as page:
        draw_all(page)
        height = "document.querySelector('#figure-failure-rates svg').getBoundingClientRect().height"
        whole = page.evaluate(height)
        page.locator("fieldset[data-field=variant] .choices input").first.uncheck()
        settled(page)
        assert page.evaluate(height) == pytest.approx(whole - 30, abs=2)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 400])
def test_what_is_folded_is_drawn_when_it_is_opened(browser, tmp_path, width):
    metrics = dict.fromkeys(["modes", "a", "b", "c", "d"], "lower")
    path = write_page(load(make(tmp_path, 3, 3, metrics=metrics, trace_steps=0)), tmp_path)
    with opened(browser, path, width, unfolded=False) as page:
        page.wait_for_timeout(500)
        chart = page.locator("#figure-metric-curves-d .chart svg.marks")
        assert chart.count() == 0
        page.evaluate("document.querySelector('nav a[href=\"#metrics\"]').click()")
        page.locator("#metric-d > summary").click()
        chart.wait_for()
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert chart.bounding_box()["width"] > 200
        rows = page.locator("#metric-d tbody tr:visible")
        assert rows.count() == 3
        page.evaluate("document.querySelector('[data-field=variant] .choices input').click()")
        page.wait_for_timeout(500)
        assert rows.count() == 2


def test_a_link_opens_what_it_leads_to(browser, every_outcome):
    with opened(browser, every_outcome, unfolded=False) as page:
        assert page.locator("#figure-outcomes").is_hidden()
        page.locator("#summary .verdict a").first.click()
        page.locator("#figure-outcomes .chart svg.marks").wait_for()
        top = page.evaluate("document.getElementById('failures').getBoundingClientRect().top")
        assert -5 <= top <= 100


@pytest.mark.parametrize("width", [1440, 400])
def test_samples_stand_beside_failure_rates(browser, every_outcome, width):
    with opened(browser, every_outcome, width, unfolded=False) as page:
        rows = page.locator("#summary tr[data-variant]")
        for row in rows.all():
            if row.locator(".shots img").count():
                picture, text = row.locator(".shots img").first.bounding_box(), row.bounding_box()
                assert picture["width"] >= 60
                assert text["y"] <= picture["y"] <= text["y"] + text["height"]
        assert page.locator("#summary .shots img").count() >= 10


@pytest.mark.parametrize("width", [1440, 400])
def test_a_page_without_runs_opens(browser, tmp_path, width):
    results = load(make(tmp_path, variants=2, seeds=2, unfinished=2))
    with opened(browser, write_page(results, tmp_path), width) as page:
        assert page.locator("#filters").is_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_five_hundred_runs_are_under_ten_megabytes_and_open_within_three_seconds(browser, tmp_path):
    make(tmp_path, variants=50, seeds=10, trace_steps=1000, evaluations=20)
    path = write_page(load(tmp_path), tmp_path)
    assert path.stat().st_size < 10e6
    with opened(browser, path) as page:
        loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        assert 0 < loaded < 3000
        draw_all(page)
