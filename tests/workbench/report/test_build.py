from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from workbench.errors import ReportError, UsageError
from workbench.report import build
from workbench.report.figures import Figure
from workbench.runs.profile import profile_file


def test_a_report_is_an_index_and_a_page_a_day(registry: Path, samples: ModuleType) -> None:
    good = samples.write_sample_registry()
    report = build.build_report()
    assert report.index == registry / "report" / "index.html"
    assert [page.name for page in report.pages] == ["day01.html"]
    assert good.run_id in report.pages[0].read_text()
    assert 'href="day01.html"' in report.index.read_text()
    assert sorted(path.name for path in report.index.parent.iterdir()) == [
        "day01.html",
        "index.html",
    ]
    assert all(page.stat().st_size < 2_000_000 for page in report.pages)


def test_a_page_for_every_run_on_request(registry: Path, samples: ModuleType) -> None:
    for number in range(3):
        samples.write_run(samples.record(f"r{number}", started=f"2026-11-2{number}T00:00:00+00:00"))
    report = build.build_report(every_run=True)
    names = {page.name for page in report.pages}
    assert names == {"day01.html", "run-r0.html", "run-r1.html"}
    index = report.index.read_text()
    assert all(f'href="{name}"' in index for name in names)


def test_a_page_made_before_stays_linked(registry: Path, samples: ModuleType) -> None:
    for number in range(2):
        samples.write_run(samples.record(f"r{number}", started=f"2026-11-2{number}T00:00:00+00:00"))
    build.build_run_page("r0")
    assert 'href="run-r0.html"' in build.build_report().index.read_text()


def test_a_days_page_is_its_last_complete_run(registry: Path, samples: ModuleType) -> None:
    runs = [
        samples.record("new", status="failed", started="2026-11-24T00:00:00+00:00"),
        samples.record("good", started="2026-11-23T00:00:00+00:00"),
        samples.record("old", started="2026-11-22T00:00:00+00:00"),
    ]
    assert build.day_runs(tuple(runs))["day01"].run_id == "good"
    assert build.day_runs((runs[0],))["day01"].run_id == "new"


def test_a_failed_run_points_to_the_last_good_one(registry: Path, samples: ModuleType) -> None:
    samples.write_run(samples.record("good"))
    bad = samples.record("bad", status="failed", started="2026-11-25T00:00:00+00:00", reason="no")
    samples.write_run(bad)
    html = build.build_run_page("bad").read_text()
    assert '<a href="day01.html">the one of 24 Nov 2026, 03:40 UTC</a>' in html


def test_a_page_that_stands_alone_links_nowhere(
    registry: Path, samples: ModuleType, tmp_path: Path
) -> None:
    samples.write_run(samples.record("good"))
    samples.write_run(samples.record("bad", status="failed", started="2026-11-25T00:00:00+00:00"))
    for target in (tmp_path / "a.html", tmp_path / "sub" / "b.html"):
        html = build.build_run_page("bad", target).read_text()
        assert ".html" not in html.split("<script>")[0]
    assert "good" in build.build_day_page("day01", tmp_path / "d.html").read_text()


def test_two_runs_get_a_page(registry: Path, samples: ModuleType) -> None:
    samples.write_run(samples.record("r-a"))
    samples.write_run(samples.record("r-b"))
    assert build.build_comparison("r-a", "r-b").name == "compare-r-a-r-b.html"


def test_what_is_not_there_is_named(registry: Path) -> None:
    with pytest.raises(UsageError, match="no run of day01"):
        build.build_day_page("day01")
    with pytest.raises(UsageError, match="did you mean day01"):
        build.build_day_page("day1")
    with pytest.raises(UsageError, match="unknown run"):
        build.build_run_page("nowhere")


def test_an_oversized_page_is_refused_and_the_old_one_stays(
    registry: Path, samples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.write_run(samples.record("r1"))
    page = build.build_day_page("day01")
    before = page.read_bytes()
    monkeypatch.setattr(build, "MAX_PAGE_BYTES", 1000)
    with pytest.raises(ReportError, match="the limit is 1,000"):
        build.build_day_page("day01")
    assert page.read_bytes() == before
    assert [path.name for path in page.parent.iterdir()] == ["day01.html"]


def test_a_talkative_notebook_is_cut_until_its_page_fits(
    registry: Path, samples: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MAX_PAGE_BYTES", 300_000)
    # A sign that takes one character in the notebook takes four on the page.
    output = samples.shown({"text/plain": "<" * 20_000})
    chatty = samples.notebook([samples.executed("x", [output]) for _ in range(8)])
    samples.write_run(samples.record("r1"), executed_notebook=chatty)
    page = build.build_day_page("day01")
    assert page.stat().st_size <= 300_000
    html = page.read_text()
    assert "20,000 more characters are in out.ipynb" in html
    assert "&lt;" * 20_000 in html


def test_one_broken_record_hides_no_other_run(
    registry: Path, samples: ModuleType, rows: pl.DataFrame, figures: list[Figure]
) -> None:
    samples.write_run(samples.record("r1"), rows, figures[:1])
    broken = registry / "day01" / "r2"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    report = build.build_report()
    assert "is not a readable run record" in report.index.read_text()
    assert 'id="run-r1"' in report.index.read_text()


def test_an_empty_registry_is_an_index(registry: Path) -> None:
    report = build.build_report()
    assert report.pages == ()
    assert "workbench run day01" in report.index.read_text()


def test_each_profile_has_a_page_and_one_that_cannot_be_read_says_so(
    registry: Path, profiles: ModuleType
) -> None:
    newest = profiles.sample_record()
    older = newest.model_copy(
        update={"run_id": "20261124T070000Z-0ld001", "started": "2026-11-24T07:00:00+00:00"}
    )
    broken = older.model_copy(
        update={"run_id": "20261124T060000Z-br0ken", "started": "2026-11-24T06:00:00+00:00"}
    )
    for run in (newest, older, broken):
        folder = registry / "profile" / run.run_id
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(run.model_dump_json())
        profile_file.write(folder, profiles.sample_profile())
    (folder / profile_file.FILE_NAME).write_text("{")
    report = build.build_report()
    names = ["profile.html", f"run-{older.run_id}.html", f"run-{broken.run_id}.html"]
    assert [page.name for page in report.pages] == names
    assert all(f'href="{name}"' in report.index.read_text() for name in names)
    assert ["Flame graph" in page.read_text() for page in report.pages] == [True, True, False]
    assert "is not a readable profile" in report.pages[2].read_text()


def test_a_sweep_has_a_page_that_the_index_links_to(registry: Path, samples: ModuleType) -> None:
    records = samples.sweep_records()
    for record in records:
        samples.write_run(record)
    report = build.build_report()
    assert [page.name for page in report.pages] == [
        "trace_replay.html",
        f"sweep-{samples.SWEEP}.html",
    ]
    index = report.index.read_text()
    assert f'href="sweep-{samples.SWEEP}.html"' in index
    assert "policy × ssd_gib × codec, 11 runs" in index
    # The day's page is the one of its last complete run; the sweep links to it.
    assert 'href="trace_replay.html"' in report.pages[1].read_text()
    # And its page to the sweep, whose own page is written later; a lone file leads nowhere.
    assert f'href="sweep-{samples.SWEEP}.html"' in report.pages[0].read_text()
    lone = build.build_run_page(records[0].run_id, registry / "lone.html")
    assert "sweep-" not in lone.read_text()


def test_a_run_s_page_leads_to_its_sweep_only_where_that_has_a_page(
    registry: Path, samples: ModuleType
) -> None:
    run = samples.sweep_records()[0]
    samples.write_run(run)
    link = f'href="sweep-{samples.SWEEP}.html"'
    assert link not in build.build_run_page(run.run_id).read_text()
    build.build_sweep_page(samples.SWEEP)
    assert link in build.build_run_page(run.run_id).read_text()


def test_a_sweep_s_page_is_built_alone_and_with_its_runs(
    registry: Path, samples: ModuleType, tmp_path: Path
) -> None:
    records = samples.sweep_records()[:2]
    for record in records:
        samples.write_run(record)
    page = build.build_sweep_page(samples.SWEEP[:6])
    assert [path.name for path in page.parent.iterdir()] == [f"sweep-{samples.SWEEP}.html"]
    assert 'href="run-' not in page.read_text()
    with_runs = build.build_sweep_page("trace_replay", every_run=True)
    assert all(f'href="run-{run.run_id}.html"' in with_runs.read_text() for run in records)
    alone = build.build_sweep_page("trace_replay", tmp_path / "a.html").read_text()
    assert ".html" not in alone.split("<script>")[0]
    with pytest.raises(UsageError, match="there is no sweep day01"):
        build.build_sweep_page("day01")
