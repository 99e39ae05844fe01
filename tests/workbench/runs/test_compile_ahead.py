"""Kernels are compiled ahead by real processes, into a cache of the test's own; one small part."""

from pathlib import Path

import pytest

from workbench.runs import compile_ahead
from workbench.runs.compile_ahead import CompileAheadError
from workbench.tiering.async_io.open_engine import open_engine


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "numba"
    folder.mkdir()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    return folder


def test_what_a_step_calls_is_kept_for_other_processes(cache, monkeypatch):
    monkeypatch.setattr(compile_ahead, "PROCESSES", (("engine",), ()))
    assert compile_ahead.is_needed()
    compile_ahead.compile_all()
    assert not compile_ahead.is_needed()
    with open_engine() as engine:
        is_compiled = engine.kind == "io_uring"
    assert any(path.name.startswith("ring.drive") for path in cache.rglob("*.nbi")) is is_compiled


def test_kernels_that_changed_are_compiled_again(monkeypatch):
    monkeypatch.setattr(compile_ahead, "PROCESSES", ())
    compile_ahead.compile_all()
    assert not compile_ahead.is_needed()
    state = compile_ahead._state()
    monkeypatch.setattr(compile_ahead, "_state", lambda: state[::-1])
    assert compile_ahead.is_needed()


def test_a_process_that_fails_says_why_and_is_not_remembered(monkeypatch):
    monkeypatch.setattr(compile_ahead, "PROCESSES", (("no such step",), ()))
    with pytest.raises(CompileAheadError, match="could be compiled ahead: KeyError: 'no such"):
        compile_ahead.compile_all()
    assert compile_ahead.is_needed()


def test_each_step_is_taken_by_one_process():
    taken = [step for steps in compile_ahead.PROCESSES for step in steps]
    assert sorted(taken) == sorted(compile_ahead.STEPS)
