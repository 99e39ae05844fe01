"""A report made of sample runs, and a browser without a network to read it in."""

import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_SAMPLES = Path(__file__).parents[1] / "workbench" / "report"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Opened:
    """A page in the browser, and everything it did that a report must not do."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note requests, console messages above info, page errors and dialogs."""
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._on_dialog)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _on_dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def wait_for_charts(self) -> None:
        """Wait until every chart was drawn again, or could not be."""
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('[data-chart]')].every(f => f.dataset.chart)",
            timeout=30_000,
        )


@dataclass(frozen=True)
class Report:
    """The pages under test."""

    folder: Path

    def url(self, name: str) -> str:
        """Return the address of a page."""
        return (self.folder / f"{name}.html").as_uri()


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"report_{name}", _SAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Index, day, failed run, hostile run, comparison and an empty index, written once."""
    from workbench.report import build
    from workbench.report.bench_rows import BenchTable
    from workbench.report.index_page import render_index
    from workbench.report.profile_page import render_profile
    from workbench.report.sweep_page import render_sweep
    from workbench.runs.swept import Swept

    folder = tmp_path_factory.mktemp("report")
    samples, hostile, profiles = _load("sample_runs"), _load("hostile"), _load("sample_profile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RUNS", str(folder / "runs"))
        patch.setenv("WORKBENCH_DATA", str(folder / "data"))
        good = samples.write_sample_registry()
        bad = samples.record("hostile", label="<b onclick=alert(1)>x</b>", status="failed")
        samples.write_run(bad, executed_notebook=hostile.hostile_notebook())
        pages = build.build_report(every_run=True).index.parent
        build.build_comparison(good.run_id, "20261123T160000Z-0e0e02", pages / "same.html")
        build.build_comparison(good.run_id, "20261122T120000Z-0e0e01", pages / "other.html")
        (pages / "empty.html").write_text(render_index([], {}, BenchTable((), ())))
        profile = render_profile(profiles.sample_record(), profiles.sample_profile(), "index.html")
        (pages / "profile.html").write_text(profile)
        grid = render_sweep(Swept.of(samples.sweep_records()), {}, "index.html")
        (pages / "sweep.html").write_text(grid)
        os.rename(pages / "run-20261124T050000Z-5eed02.html", pages / "failed.html")
        os.rename(pages / "run-hostile.html", pages / "hostile.html")
    return Report(pages)


# Not for the session: while the driver lives, its event loop runs and asyncio.run is refused.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """Headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield started
        started.close()


@dataclass
class Listener:
    """A server on this machine that notes whatever is asked of it."""

    url: str
    paths: list[str]


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A server that a page could reach if it were let."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"heard")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Listener(f"http://127.0.0.1:{server.server_port}/asked", paths)
        server.shutdown()
        thread.join()


@pytest.fixture
def open_page(browser: Any, report: Report) -> Iterator[Callable[..., Opened]]:
    """Open a page of the report by name, with the network off."""
    contexts = []

    def open_one(
        name: str, *, width: int = 1280, dark: bool = False, scripts: bool = True
    ) -> Opened:
        context = browser.new_context(
            offline=True,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.watch()
        opened.page.goto(report.url(name))
        if scripts:
            opened.wait_for_charts()
        return opened

    yield open_one
    for context in contexts:
        context.close()
