"""Test that frames are staged, kept while they are used, and read again only when they must be."""

from __future__ import annotations

import threading

import pytest

from tests.workbench.tiering.tiered_kv_cache.caches import config
from workbench.errors import UsageError
from workbench.tiering.tiered_kv_cache import staging as staging_module
from workbench.tiering.tiered_kv_cache.errors import CacheFullError
from workbench.tiering.tiered_kv_cache.staging import Staging

LAYOUT = config().layout
ROWS = 8


class Frames:
    """Answers a frame with its block's first byte and its number; some are missing."""

    def __init__(self):
        self.missing = set()
        self.reads = []
        self.kept = []
        self.let = threading.Event()
        self.let.set()

    def get(self, frames):
        assert self.let.wait(30)
        self.reads += [(one.key, one.frame) for one in frames]
        for one in frames:
            one.view[:] = one.key[0] + 16 * one.frame
            if (one.key, one.frame) in self.missing:
                self.kept.append(one.view.data[:100])
        return [(one.key, one.frame) not in self.missing for one in frames]


@pytest.fixture
def frames():
    return Frames()


@pytest.fixture
def staging(frames):
    with Staging(LAYOUT.frame_bytes, frames.get, ROWS * LAYOUT.frame_bytes) as staging:
        yield staging
        frames.let.set()


def names(first, stop, frame=0):
    return [(bytes([number]) * 32, frame) for number in range(first, stop)]


def use(staging, wanted):
    batch = staging.lease(wanted, wait=True)
    rows = batch.wait()
    for row, (key, frame) in zip(rows, wanted, strict=True):
        assert (staging.memory[row] == key[0] + 16 * frame).all()
    return batch


def test_a_frame_is_read_once_for_all_its_layers(staging, frames):
    for _ in range(3):
        staging.release(use(staging, names(0, 4)))
    assert frames.reads == names(0, 4)
    assert (staging.frames_read, staging.frames_reused) == (4, 8)
    assert staging.memory.nbytes == ROWS * LAYOUT.frame_bytes


def test_rows_go_to_others_longest_unused_first(staging, frames):
    staging.release(use(staging, names(0, 4)))
    staging.release(use(staging, names(4, 8)))
    staging.release(use(staging, names(0, 2)))
    staging.release(use(staging, names(8, 10)))
    frames.reads.clear()
    staging.release(use(staging, names(0, 2)))
    assert frames.reads == []
    staging.release(use(staging, names(2, 4)))
    assert frames.reads == names(2, 4)


def test_rows_in_use_are_not_taken(staging):
    held = [use(staging, names(0, 4)), use(staging, names(4, 8))]
    assert staging.lease(names(8, 9), wait=False) is None
    for batch in held:
        assert len(batch.wait()) == 4
        staging.release(batch)
    staging.release(use(staging, names(8, 9)))


def test_rows_that_are_being_read_are_not_taken(staging, frames):
    frames.let.clear()
    staging.read_ahead(names(0, 4))
    staging.read_ahead(names(4, 8))
    assert staging.lease(names(8, 9), wait=False) is None
    frames.let.set()
    for first in (0, 4):
        staging.release(use(staging, names(first, first + 4)))
    assert frames.reads == names(0, 8)


def test_waiting_for_rows_ends_when_some_are_free(staging):
    held = use(staging, names(0, 8))
    timer = threading.Timer(0.05, staging.release, (held,))
    timer.start()
    staging.release(use(staging, names(8, 12)))
    timer.join()


def test_waiting_for_rows_has_an_end(staging, monkeypatch):
    monkeypatch.setattr(staging_module, "_ROW_WAIT_S", 0.01)
    held = use(staging, names(0, 8))
    with pytest.raises(CacheFullError, match="raise staging_bytes"):
        staging.lease(names(8, 9), wait=True)
    staging.release(held)


def test_the_first_missing_frame_is_named_and_asked_for_again(staging, frames):
    frames.missing = set(names(2, 4))
    batch = staging.lease(names(0, 5), wait=True)
    with pytest.raises(LookupError) as caught:
        batch.wait()
    assert caught.value.args == (2,)
    staging.release(batch)
    # The device may write to these two rows still.
    assert staging.lease(names(5, 12), wait=False) is None
    frames.kept.clear()
    frames.missing = set()
    frames.reads.clear()
    staging.release(use(staging, names(0, 5)))
    assert frames.reads == names(2, 4)


def test_a_missing_frame_that_was_only_foreseen_takes_no_row(staging, frames):
    frames.missing = set(names(0, 8))
    staging.read_ahead(names(0, 8))
    staging._reader.submit(frames.kept.clear).result(30)
    frames.missing = set()
    staging.release(use(staging, names(8, 16)))


def test_too_little_memory_is_refused():
    with pytest.raises(UsageError, match=r"holds 1 frames .* 2 are needed"):
        Staging(LAYOUT.frame_bytes, Frames().get, 2 * LAYOUT.frame_bytes - 1)
