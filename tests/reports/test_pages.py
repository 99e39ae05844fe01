"""The report as a reader meets it: from a file, without a network, in any theme and width."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
PAGES = ("index", "day01", "failed", "same", "other", "empty", "hostile", "profile", "sweep")
N_CHARTS = 5
_ALL_CHARTS = (
    "() => [...document.querySelectorAll('[data-chart]')].every(f => f.dataset.chart == '{}')"
)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_nothing_but_itself_and_complains_of_nothing(
    open_page: Open, report: Any, name: str
) -> None:
    opened = open_page(name)
    assert opened.requests == [report.url(name)]
    assert opened.complaints == []
    assert opened.dialogs == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small_enough_for_a_mail(report: Any, name: str) -> None:
    assert (report.folder / f"{name}.html").stat().st_size <= 2_000_000


def test_every_chart_is_drawn_again_with_its_label(open_page: Open) -> None:
    page = open_page("day01").page
    states = page.eval_on_selector_all("[data-chart]", "all => all.map(f => f.dataset.chart)")
    assert states == ["live"] * N_CHARTS
    labels = page.eval_on_selector_all(
        "[data-chart] .vega-embed svg", "all => all.map(s => s.getAttribute('aria-label'))"
    )
    assert len(labels) == N_CHARTS
    assert all("GB/s" in label or "tokens/s" in label or "GiB" in label for label in labels)


def test_a_chart_answers_to_the_mouse(open_page: Open) -> None:
    page = open_page("day01").page
    page.locator(
        "#chart-1 svg path[aria-roledescription], #chart-1 svg .mark-symbol path"
    ).first.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "series" in page.inner_text("#vg-tooltip-element")


def test_without_scripts_the_charts_and_the_numbers_are_there(open_page: Open) -> None:
    page = open_page("day01", scripts=False).page
    pictures = page.locator("[data-chart] .drawing > svg")
    assert pictures.count() == N_CHARTS
    for place in range(N_CHARTS):
        box = pictures.nth(place).bounding_box()
        assert box["width"] > 300
        assert box["height"] > 60
    assert not page.locator("[data-theme-toggle]").is_visible()
    assert not page.locator("[data-copy]").first.is_visible()
    page.locator("summary", has_text="Median and range").click()
    assert page.locator("table", has_text="Measured values").is_visible()


@pytest.mark.parametrize(
    ("sound", "torn"),
    [('"$schema":', "$schema:"), ("<script>", "<script> ")],
    ids=["specs that are no JSON", "scripts whose hash is wrong"],
)
def test_where_drawing_again_fails_the_picture_stays(
    browser: Any, report: Any, tmp_path: Any, sound: str, torn: str
) -> None:
    html = (report.folder / "day01.html").read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    # The first script is the bundle: the ones after it find no vegaEmbed then.
    n_torn = 1 if torn == "<script> " else -1
    broken.write_text(html.replace(sound, torn, n_torn), encoding="utf-8")
    page = browser.new_context(offline=True).new_page()
    page.goto(broken.as_uri())
    page.wait_for_function(_ALL_CHARTS.format("still"))
    assert page.locator("[data-chart] .drawing > svg").count() == N_CHARTS
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_nothing_serious_bars_anyone_from_reading(open_page: Open, name: str) -> None:
    page = open_page(name).page
    page.eval_on_selector_all("details", "all => all.forEach(fold => { fold.open = true; })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        serious = [
            (rule["id"], node["html"][:120])
            for rule in found
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]
        assert serious == [], scheme


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways(open_page: Open, name: str) -> None:
    page = open_page(name, width=390).page
    for width in (390, 800, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_charts_fit_a_phone_with_text_of_full_size(open_page: Open) -> None:
    page = open_page("day01", width=390).page
    sizes = page.eval_on_selector_all(
        "[data-chart] .vega-embed svg",
        "all => all.map(s => [s.getBoundingClientRect().width, Number(s.getAttribute('width'))])",
    )
    for shown, natural in sizes:
        assert shown <= 390
        assert shown / natural > 0.85


def test_the_theme_is_toggled_and_remembered(open_page: Open) -> None:
    page = open_page("day01").page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator("[data-theme-toggle]")
    assert button.inner_text() == "Theme: system"
    button.click()
    assert page.evaluate(ground) == light
    button.click()
    assert button.inner_text() == "Theme: dark"
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark


def test_charts_follow_the_theme(open_page: Open) -> None:
    colour = (
        "getComputedStyle(document.querySelector('#chart-1 svg text')).fill"
        " + getComputedStyle(document.querySelector('#chart-1 svg path[stroke^=\"#\"]')).stroke"
    )
    seen = {open_page("day01", dark=dark).page.evaluate(colour) for dark in (False, True)}
    assert len(seen) == 2


def test_the_keyboard_reaches_the_content_and_opens_the_code(open_page: Open) -> None:
    page = open_page("day01").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    fold = page.locator("#cell-1 details.code")
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert fold.get_attribute("open") is not None


def test_what_scrolls_can_be_reached_by_keyboard(open_page: Open) -> None:
    page = open_page("index", width=390).page
    boxes = page.eval_on_selector_all(
        ".scroll", "all => all.map(b => [b.scrollWidth > b.clientWidth, b.tabIndex])"
    )
    assert [True, 0] in boxes
    assert all(index == (0 if scrolls else -1) for scrolls, index in boxes)


def test_links_into_a_page_arrive(open_page: Open, report: Any) -> None:
    page = open_page("day01").page
    for anchor in ("verdict", "chart-3", "cell-3", "section-2"):
        page.goto(f"{report.url('day01')}#{anchor}")
        top = page.locator(f"#{anchor}").bounding_box()["y"]
        assert 0 <= top < 900


def test_the_numbers_are_copied(open_page: Open) -> None:
    opened = open_page("day01")
    page = opened.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[data-copy=csv]").click()
    page.wait_for_selector("text=Copied.")
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert lines[0] == "metric,unit,tier,case,variant,repeat,value"
    assert len(lines) > 500
    assert lines[1].startswith("storage_read,GB/s,device,block_kib=4,synchronous,0,0.3")
    page.locator("[data-copy=json]").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).startsWith('{')")
    record = page.evaluate("async () => JSON.parse(await navigator.clipboard.readText()).record")
    assert record["run_id"] == "20261124T034000Z-5eed01"


def test_all_code_is_unfolded_at_once(open_page: Open) -> None:
    page = open_page("day01").page
    page.locator("[data-toggle-code]").click()
    count = page.locator("details.code").count()
    assert page.locator("details.code[open]").count() == count > 5
    page.locator("[data-toggle-code]").click()
    assert page.locator("details.code[open]").count() == 0


def test_a_hostile_run_stays_dead(open_page: Open, report: Any) -> None:
    opened = open_page("hostile")
    page = opened.page
    for fold in page.locator("details").all():
        fold.evaluate("fold => fold.open = true")
    for link in page.locator(".notebook a").all():
        link.dispatch_event("click")
    page.locator("main").dispatch_event("mouseover")
    page.wait_for_timeout(300)
    assert page.evaluate("typeof window.hit") == "undefined"
    assert opened.dialogs == []
    assert {request.split("#")[0] for request in opened.requests} == {report.url("hostile")}
    assert page.locator("main").is_visible()
    places = page.eval_on_selector_all(
        "main *", "all => all.map(e => getComputedStyle(e).position)"
    )
    assert set(places) <= {"static", "relative", "absolute"}


def test_the_policy_stops_what_a_cell_would_smuggle_in(
    browser: Any, report: Any, tmp_path: Any, listener: Any
) -> None:
    html = (report.folder / "day01.html").read_text(encoding="utf-8")
    smuggled = (
        "<script>window.hit=1</script><img src=x onerror='window.hit=1'>"
        "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>"
        f"<img src='{listener.url}'><link rel=stylesheet href='{listener.url}'>"
        f"<style>body{{background:url({listener.url})}}</style>"
        f"<iframe src='{listener.url}'></iframe>"
    )
    forged = tmp_path / "forged.html"
    forged.write_text(html.replace("</main>", f"{smuggled}</main>"), encoding="utf-8")
    page = browser.new_context().new_page()
    page.goto(forged.as_uri())
    page.wait_for_function(_ALL_CHARTS.format("live"))
    assert page.evaluate("typeof window.hit") == "undefined"
    assert listener.paths == []
    # The listener does hear whoever may speak to it.
    page.goto(listener.url)
    assert listener.paths != []
    page.context.close()


def test_the_index_filters_by_text_status_and_machine(open_page: Open) -> None:
    page = open_page("index").page
    shown = "[...document.querySelectorAll('tr[data-status]')].filter(r => !r.hidden).length"
    assert page.evaluate(shown) == 9
    page.select_option("select[name=status]", "failed")
    assert page.evaluate(shown) == 2
    assert page.inner_text("[data-count]") == "2 of 9 runs"
    page.fill("input[name=text]", "space left")
    assert page.evaluate(shown) == 1
    page.select_option("select[name=status]", "")
    page.fill("input[name=text]", "")
    page.select_option("select[name=machine]", "77aa88bb99cc")
    assert page.evaluate(shown) == 1
    page.fill("input[name=text]", "no such words")
    assert page.evaluate(shown) == 0


def test_the_index_sorts_by_number_both_ways_and_keeps_gaps_last(open_page: Open) -> None:
    page = open_page("index").page
    ratios = "[...document.querySelectorAll('tr[data-status]')].map(r => r.cells[3].dataset.value)"
    heading = page.locator("table.runs th", has_text="Ratio").first
    heading.locator("button").click()
    up = page.evaluate(ratios)
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(one) for one in up if one] == sorted(float(one) for one in up if one)
    assert up[-2:] == ["", ""]
    heading.locator("button").click()
    down = page.evaluate(ratios)
    assert [one for one in down if one] == [one for one in up if one][::-1]
    assert down[-2:] == ["", ""]


def test_an_index_row_can_be_linked_to(open_page: Open, report: Any) -> None:
    page = open_page("index").page
    page.goto(f"{report.url('index')}#run-20261120T091500Z-a1b2c0")
    box = page.locator("#run-20261120T091500Z-a1b2c0").bounding_box()
    assert 0 <= box["y"] < 900


def test_equal_rows_fold_and_unfold(open_page: Open) -> None:
    page = open_page("same").page
    equal = page.locator("tr[data-differs=no]")
    assert equal.count() > 10
    assert not equal.first.is_visible()
    page.locator("[data-fold]").uncheck()
    assert equal.first.is_visible()


@pytest.mark.parametrize("width", [400, 1200])
def test_a_flame_graph_fits_its_box_and_its_names_are_found(open_page: Open, width: int) -> None:
    page = open_page("profile", width=width).page
    flame = page.locator(".flame").bounding_box()
    boxes = [one.bounding_box() for one in page.locator(".flame span").all()]
    assert len(boxes) == 5
    for box in boxes:
        assert (
            flame["x"] - 1 <= box["x"] <= box["x"] + box["width"] <= flame["x"] + flame["width"] + 1
        )
        assert box["y"] + box["height"] <= flame["y"] + flame["height"] + 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.find('kernels.copy.nontemporal')")


def test_paper_is_light_and_has_no_controls(open_page: Open) -> None:
    page = open_page("day01", dark=True).page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("header.top").is_visible()
    assert not page.locator("[data-copy=csv]").is_visible()
    assert page.locator("#chart-1 svg").is_visible()
