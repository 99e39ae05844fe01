"""session.json: written by the kernel, read by its parent."""

from __future__ import annotations

from workbench.runs import session_report
from workbench.runs.session_report import SessionReport


def test_it_comes_back_as_it_went(tmp_path):
    assert session_report.read(tmp_path) is None
    report = SessionReport(closed=True, peak_rss_bytes=5, compile_s=1.5)
    session_report.write(tmp_path, SessionReport())
    session_report.write(tmp_path, report)
    assert session_report.read(tmp_path) == report


def test_a_newer_session_may_say_more(tmp_path):
    (tmp_path / "session.json").write_text('{"closed": true, "mood": "good"}')
    assert session_report.read(tmp_path) == SessionReport(closed=True)
