"""Days in JupyterLab, as a person uses them: run, every chart drawn, controls that answer."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from workbench import datasets, paths
from workbench.benchmark.caching import trace_mooncake
from workbench.benchmark.network.fleet_cost import FleetCost
from workbench.runs.days.day24_network_tier import Day24Params

NOTEBOOK = paths.notebooks() / "day01_baseline.ipynb"
DAY24 = paths.notebooks() / "day24_network_tier.ipynb"
RUN_LIMIT_MS = 300_000

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

ALL_CELLS_RAN = """() => {
    const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
    return prompts.length > 0 && prompts.every(p => /^\\[\\d+\\]:$/.test(p.innerText.trim()));
}"""

KERNEL_STAYS_IDLE = """() => {
    const shown = document.querySelector('.jp-Notebook-ExecutionIndicator');
    const idle = shown?.dataset.status === 'idle';
    window.idleSince = idle ? (window.idleSince ?? Date.now()) : undefined;
    return idle && Date.now() - window.idleSince > 3000;
}"""


class Watched:
    """A page, every address it asked for and every error it threw."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", lambda socket: self.asked.append(socket.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def hosts(self) -> set[str | None]:
        networked = (url for url in self.asked if not url.startswith(("data:", "blob:")))
        return {urlsplit(url).hostname for url in networked}


@pytest.fixture
def watched(chromium: str):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield Watched(browser.new_page(viewport={"width": 1400, "height": 1000}))
        browser.close()


def open_notebook(page: Any, url: str) -> Any:
    """Open the notebook, wait for its kernel, and return its first code cell: the parameters."""
    page.goto(url)
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for(timeout=60_000)
    return page.locator(".jp-CodeCell").first


def settle(page: Any) -> None:
    """Wait until the kernel stays idle: it reconnects once and drops what it was asked."""
    page.wait_for_function(KERNEL_STAYS_IDLE, polling=200, timeout=60_000)


def choose_tiny(page: Any, cell: Any) -> None:
    """Retype the parameters cell with the tiny preset."""
    editor = cell.locator(".cm-content", has_text="preset")
    editor.wait_for()  # the kernel may be idle before the page has filled its cells
    source = editor.inner_text()
    assert 'preset: str = "standard"' in source
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(source.replace('"standard"', '"tiny"', 1))
    settle(page)


def run_all(page: Any) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(ALL_CELLS_RAN, timeout=RUN_LIMIT_MS)


def test_day_one_runs_from_top_to_bottom_and_draws_every_chart(lab, watched: Watched) -> None:
    datasets.path("smollm2-135m")  # `make test` fetches it; its absence is said here, not in a cell
    before, page = NOTEBOOK.read_bytes(), watched.page
    choose_tiny(page, open_notebook(page, lab.url))
    run_all(page)

    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    (folder,) = (lab.runs / "day01").iterdir()
    figures = json.loads((folder / "figures.json").read_text())
    drawn = page.locator(".jp-RenderedSVG img").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert len(drawn) == len(figures) >= 3
    assert min(drawn) > 100

    run = json.loads((folder / "run.json").read_text())
    assert (run["source"], run["params"]["preset"]) == ("jupyterlab", "tiny")
    assert run["status"] in {"ok", "refuted", "undecided"}

    measure_another_block_size(page)
    assert watched.hosts() == {"127.0.0.1"}
    assert lab.wanted_outside == []
    assert watched.errors == []
    assert NOTEBOOK.read_bytes() == before


def measure_another_block_size(page: Any) -> None:
    """Use the controls: choose 64 KiB, press the button, and see the answer for 64 KiB."""
    controls = page.locator(".widget-interact").first
    chooser = controls.locator("select").nth(1)
    assert chooser.input_value() == "16"
    chooser.select_option("64")
    controls.get_by_role("button", name="Measure").click()
    controls.locator("table").first.wait_for(timeout=RUN_LIMIT_MS)
    assert controls.locator("table").first.locator("tbody tr").first.inner_text().startswith("64")


def run_cell(page: Any, source: str) -> Any:
    """Run the one code cell whose source has these words, and return it once it has ended."""
    cell = page.locator(".jp-CodeCell").filter(has=page.locator(".jp-InputArea", has_text=source))
    prompt = cell.locator(".jp-InputPrompt")
    prompt.click()  # what is clicked there is selected, and the keyboard is not in its editor
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run Selected Cell and Do not Advance").click()
    prompt.filter(has_text=re.compile(r"\[\d+\]:")).wait_for(timeout=RUN_LIMIT_MS)
    assert cell.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    return cell


def found_locally(table: Any) -> str:
    """Return what machines without a server find, as a fleet's table says it."""
    lines = [line.split("\t") for line in table.inner_text().splitlines()]
    return next(line[2].strip() for line in lines if line[0].strip() == "no server")


@pytest.mark.parametrize("lab", ["day24"], indirect=True)
def test_day_24_s_fleet_is_changed_by_its_controls(lab, watched: Watched) -> None:
    datasets.path("smollm2-135m")
    trace_mooncake.read("mooncake-conversation")  # fetched, so that no cell has to
    before, page = DAY24.read_bytes(), watched.page
    choose_tiny(page, open_notebook(page, lab.url))
    # The fleet's cell needs none of the measurements before it.
    needed = ("preset: str", "d = day.open", "codec_ratios")
    for source in needed:
        run_cell(page, source)
    cell = run_cell(page, "d.explore")

    controls = cell.locator(".widget-interact")
    choosers = controls.locator("select")
    assert [one.input_value() for one in choosers.all()] == ["8", "64", "512"]
    shown = found_locally(cell.locator(".jp-RenderedHTMLCommon table"))
    choosers.nth(0).select_option("1")
    choosers.nth(2).select_option("64")
    controls.get_by_role("button", name="Measure").click()
    answer = controls.locator("table")
    answer.wait_for(timeout=RUN_LIMIT_MS)
    chosen = Day24Params(preset="tiny", fleet_machines=1, fleet_shared_gib=64)
    alone = FleetCost(chosen.trace(), chosen.fleet(), {}).table
    assert found_locally(answer) == alone["found locally"][0] != shown
    assert watched.hosts() == {"127.0.0.1"}
    assert lab.wanted_outside == []
    assert watched.errors == []
    assert DAY24.read_bytes() == before
