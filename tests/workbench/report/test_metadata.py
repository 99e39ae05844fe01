import json
import re
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from workbench import paths
from workbench.errors import ReportError
from workbench.report import metadata
from workbench.report.build import build_run_page
from workbench.runs import metrics_file
from workbench.runs import registry as runs_registry
from workbench.runs.record import read


@pytest.fixture
def page(registry: Path, samples: ModuleType, rows: pl.DataFrame, tmp_path: Path) -> Path:
    run = samples.record("20261124T034000Z-5eed01", verdict=samples.verdict(), label="a </script>")
    samples.write_run(run, rows)
    return build_run_page(run.run_id, tmp_path / "page.html")


def test_a_page_gives_its_run_back(page: Path, rows: pl.DataFrame) -> None:
    record, frame = metadata.from_page(page.read_text())
    assert record == runs_registry.find("5eed01")
    assert frame.equals(rows)


def test_a_page_from_another_machine_is_imported(
    page: Path, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = runs_registry.find("5eed01")
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "elsewhere"))
    folder = metadata.import_page(page)
    assert folder == paths.runs() / "day01" / original.run_id
    assert read(folder / "run.json") == original
    assert metrics_file.read(folder / metrics_file.FILE_NAME).equals(rows)
    assert runs_registry.runs() == [original]
    with pytest.raises(ReportError, match="here already"):
        metadata.import_page(page)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", ".", "x" * 200])
def test_a_page_cannot_name_a_path(page: Path, name: str, tmp_path: Path) -> None:
    html = page.read_text()
    forged = html.replace('"run_id":"20261124T034000Z-5eed01"', f'"run_id":{json.dumps(name)}')
    assert forged != html
    page.write_text(forged)
    with pytest.raises(ReportError, match="tampered"):
        metadata.import_page(page)


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<p>an index</p>", "holds no run"),
        ('<script type="application/json" id="run-metadata">{}</script>', "cannot be read"),
        ('<script type="application/json" id="run-metadata">{"record": </script>', "cannot be"),
    ],
)
def test_a_page_without_a_run_says_so(html: str, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        metadata.from_page(html)


def test_rows_are_kept_once_a_series(page: Path, rows: pl.DataFrame) -> None:
    block = re.search(r'id="run-metadata">([^<]*)</script>', page.read_text())
    assert block is not None
    series = json.loads(block[1])["series"]
    assert len(series) == rows.select("metric", "unit", "tier", "case", "variant").n_unique()
    assert sum(len(one["value"]) for one in series) == rows.height
