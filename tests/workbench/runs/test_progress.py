"""Progress: lines for a log, a bar for a terminal, the time left from the last run."""

from __future__ import annotations

import io

import pytest

from workbench.runs import progress
from workbench.runs.progress import Bar, CodeCell, Lines, Runs, for_stream

FIRST = CodeCell(1, 12, "setup", "x")
LAST = CodeCell(12, 12, "", "\n  d.close()  # the end of it all, at last\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_line_a_cell():
    stream = io.StringIO()
    shown = for_stream("day01", None, stream)
    assert isinstance(shown, Lines)
    for cell, seconds in ((FIRST, 0.04), (LAST, 75.2)):
        shown.begin(cell)
        shown.end(cell, seconds)
    shown.close()
    assert stream.getvalue().splitlines() == [
        "day01 [ 1/12] setup                            0.0 s",
        "day01 [12/12] d.close()  # the end of it a    75.2 s",
    ]


def test_the_time_left_comes_from_the_last_run(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    shown = for_stream("day01", 90.0, stream)
    now[0] = 130.0
    shown.end(FIRST, 30.0)
    now[0] = 189.5
    shown.end(LAST, 59.5)
    assert [line.partition(" s   ")[2] for line in stream.getvalue().splitlines()] == [
        "about 1 min left",
        "nearly done",
    ]


@pytest.mark.parametrize("expected_s", [None, 60.0])
def test_a_terminal_gets_a_bar_that_goes_away(expected_s):
    stream = Terminal()
    shown = for_stream("day01", expected_s, stream)
    assert isinstance(shown, Bar)
    shown.begin(FIRST)
    shown._bar.refresh()
    shown.end(FIRST, 0.1)
    shown.close()
    assert "setup" in stream.getvalue()
    assert ("left" in stream.getvalue()) == (expected_s is not None)


def test_a_sweep_writes_a_line_a_run_where_there_is_no_terminal():
    stream = io.StringIO()
    with Runs(2, stream) as shown:
        shown.ended("ok: one")
        shown.ended("failed: [bold] two")
    assert stream.getvalue() == "[1/2] ok: one\n[2/2] failed: [bold] two\n"


def test_on_a_terminal_a_bar_stands_below_the_lines():
    stream = Terminal()
    with Runs(2, stream) as shown:
        shown.ended("failed: [bold] two")
        shown.ended("ok: one")
    assert "[1/2] failed: [bold] two" in stream.getvalue()
    assert "2/2" in stream.getvalue()
