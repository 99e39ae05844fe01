"""track(): passes items through unchanged and speaks where somebody listens."""

import io
import sys

import pytest

from workbench.benchmark.progress import set_mode, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def outside_a_run(monkeypatch):
    monkeypatch.delenv("WORKBENCH_PROGRESS", raising=False)


def test_a_log_gets_one_line_a_step(capsys):
    assert list(track(["a", "b", "c"], "copying")) == ["a", "b", "c"]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["copying 1/3", "copying 2/3", "copying 3/3"]


def test_an_unknown_total_is_not_invented(capsys):
    assert list(track(iter(range(2)), "reading")) == [0, 1]
    assert capsys.readouterr().err.splitlines() == ["reading 1", "reading 2"]


def test_an_explicit_total_wins(capsys):
    list(track(iter(range(1)), "reading", total=7))
    assert capsys.readouterr().err == "reading 1/7\n"


def test_a_step_is_reported_after_it_was_done(capsys):
    for _ in track([1], "writing"):
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "writing 1/1\n"


def test_a_headless_notebook_gets_nothing(capsys, monkeypatch):
    monkeypatch.setenv("WORKBENCH_PROGRESS", "undone by monkeypatch")
    set_mode("none")
    assert list(track(range(3), "copying")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(track(range(3), "copying")) == [0, 1, 2]
    assert "copying" in terminal.getvalue()
    assert "\r" in terminal.getvalue()


def test_a_live_notebook_gets_a_widget(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("tqdm.notebook.display", shown.append)
    monkeypatch.setenv("WORKBENCH_PROGRESS", "undone by monkeypatch")
    set_mode("widget")
    assert list(track(range(3), "copying")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
    assert len(shown) == 1
