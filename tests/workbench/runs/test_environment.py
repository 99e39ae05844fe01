"""What a run ran with: code, packages, processes, stores."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from workbench import paths
from workbench.runs import environment


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a small git checkout that the workbench takes for its own."""
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True)

    git("init", "-q", "-b", "topic")
    (tmp_path / "a.py").write_text("x = 1\n")
    git("add", "a.py")
    git("commit", "-q", "-m", "first")
    return tmp_path


def test_code_names_commit_branch_and_changes(checkout):
    sha = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout[:12]
    assert environment.code() == environment.Code(sha, False, "topic")
    (checkout / "new.py").write_text("y = 2\n")
    assert environment.code() == environment.Code(sha, True, "topic")


def test_no_repository_gives_empty_code(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment.code() == environment.Code()


def test_packages_are_listed_once_a_hash(runs_folder):
    digest = environment.packages_hash()
    kept = runs_folder / "packages" / f"{digest}.txt"
    assert f"numpy=={np.__version__}" in kept.read_text().split()
    before = kept.stat().st_mtime_ns
    assert environment.packages_hash() == digest
    assert kept.stat().st_mtime_ns == before


def test_a_process_is_known_by_its_start_too():
    started = environment.process_started(os.getpid())
    assert environment.is_running(os.getpid(), started)
    assert not environment.is_running(os.getpid(), started - 3600)


def test_a_process_that_ended_is_gone_even_before_its_parent_notices():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = environment.process_started(child.pid)
        assert environment.is_running(child.pid, started)
        child.stdin.close()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)  # until it is dead; nobody has collected it
        assert not environment.is_running(child.pid, started)
    assert environment.process_started(child.pid) is None
    assert environment.peak_rss_bytes(child.pid) is None


def test_peak_memory_remembers_what_was_given_back():
    code = "x = b'x' * (200 * 2**20); del x; print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as child:
        child.stdout.readline()
        peak = environment.peak_rss_bytes(child.pid)
        child.communicate(b"\n")
    if sys.platform == "linux":
        assert 200 * 2**20 < peak < 400 * 2**20
    assert peak > 2**20


@pytest.mark.parametrize(
    ("store", "resolved"),
    [("data/store", "DATA/store"), ("scratch/x", "ROOT/scratch/x"), ("/mnt/ssd", "/mnt/ssd")],
)
def test_stores_resolve_against_data_folder_and_checkout(data_folder, store, resolved):
    places = resolved.replace("DATA", str(data_folder)).replace("ROOT", str(paths.root()))
    assert environment.resolve_store(store) == Path(places)
