"""One process has a store; the next one is told which, and gets it once that one has ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.folder import RealFolder
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig, StoreInUseError
from workbench.tiering.ssd_tier.layout import LOCK, LOCK_BYTES
from workbench.tiering.ssd_tier.lock import FolderLock

CONFIG = SsdTierConfig(capacity_bytes=1 << 20, segment_bytes=1 << 16, flush_every_s=None)
KEY = b"k" * 32
ROOT = Path(__file__).parents[4]
# A process that opens a store, does what it is told, says so, and waits until its input ends.
PROLOGUE = """
import os, signal, sys, time
from pathlib import Path
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig, StoreForkedError
config = SsdTierConfig(capacity_bytes=1 << 20, segment_bytes=1 << 16, flush_every_s=None)
tier = SsdTier.open(Path(sys.argv[1]), config, SynchronousEngine())
"""
HOLD = "print('ready', os.getpid(), flush=True); sys.stdin.read()"


@contextlib.contextmanager
def process(folder: Path, script: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has the store in ``folder`` open; it is killed in the end."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROLOGUE + script, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def told(child: subprocess.Popen[str]) -> list[str]:
    """Return the words of the next line that a process says."""
    assert child.stdout is not None
    return child.stdout.readline().split()


def opened(folder: Path) -> SsdTier:
    return SsdTier.open(folder, CONFIG, SynchronousEngine())


def test_a_second_process_is_told_who_has_the_store_and_gets_it_after_a_kill(
    tmp_path: Path,
) -> None:
    script = f"assert tier.put(b'k' * 32, b'theirs')\n{HOLD}"
    with process(tmp_path, script) as child:
        assert told(child) == ["ready", str(child.pid)]
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(StoreInUseError, match=f"in use by pid {child.pid};") as caught:
            opened(tmp_path)
        assert caught.value.pid == child.pid
        after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert after == before, "whoever is refused leaves the files alone"
        child.send_signal(signal.SIGKILL)
        child.wait()
    # The lock's file is still there with the dead one's number, and locks nobody out.
    assert (tmp_path / LOCK).read_text().strip() == str(child.pid)
    with opened(tmp_path) as tier:
        assert tier.get(KEY) == b"theirs"
        assert (tmp_path / LOCK).read_text().strip() == str(os.getpid())


def test_a_forked_child_neither_holds_the_lock_nor_uses_the_store(tmp_path: Path) -> None:
    script = """
child = os.fork()
if child == 0:
    try:
        tier.get(b"k" * 32)
    except StoreForkedError:
        print("refused", os.getpid(), flush=True)
    tier.close()
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""
    with process(tmp_path, script) as parent:
        word, child = told(parent)
        assert word == "refused"
        with pytest.raises(StoreInUseError, match=f"pid {parent.pid}"):
            opened(tmp_path)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        try:
            os.kill(int(child), 0)
            with opened(tmp_path) as tier:
                assert tier.put(KEY, b"ours"), "the child lives on and does not matter"
        finally:
            os.kill(int(child), signal.SIGKILL)


def test_one_process_cannot_open_a_store_twice_and_close_lets_it_go(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StoreInUseError, match=f"in use by pid {os.getpid()}"):
        opened(tmp_path)
    with opened(tmp_path) as tier:
        assert tier.put(KEY, b"again")


def test_an_opening_that_fails_lets_the_lock_go(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    other = SsdTierConfig(capacity_bytes=1 << 20, segment_bytes=1 << 17, flush_every_s=None)
    with pytest.raises(StorageError):
        SsdTier.open(tmp_path, other, SynchronousEngine())
    with opened(tmp_path):
        pass


def test_releasing_twice_is_harmless_and_lets_the_next_one_in(tmp_path: Path) -> None:
    with RealFolder(tmp_path) as folder:
        first = FolderLock(folder, "store")
        first.release()
        second = FolderLock(folder, "store")
        first.release()
        with pytest.raises(StoreInUseError):
            FolderLock(folder, "store")
        second.release()
        assert folder.size(LOCK) == LOCK_BYTES


def test_a_holder_that_cannot_be_read_is_another_process(tmp_path: Path) -> None:
    with RealFolder(tmp_path) as folder:
        lock = FolderLock(folder, "store")
        (tmp_path / LOCK).write_bytes(b"no number at all")
        with pytest.raises(StoreInUseError, match="in use by another process") as caught:
            FolderLock(folder, "store")
        assert caught.value.pid is None
        lock.release()


def test_a_link_is_refused_and_what_it_points_to_is_left_alone(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    store = tmp_path / "store"
    store.mkdir()
    (store / LOCK).symlink_to(victim)
    with pytest.raises(StorageError, match="must be a plain file"):
        opened(store)
    assert victim.read_bytes() == b"precious"


def test_a_folder_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        opened(tmp_path)


def test_a_pipe_in_the_locks_place_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / LOCK)
    with pytest.raises(StorageError, match=f"{LOCK}: is no plain file"):
        FolderLock(RealFolder(tmp_path), "store")


def test_a_pipe_in_the_place_of_the_lock_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / LOCK)
    with pytest.raises(StorageError, match="plain file"):
        opened(tmp_path)
