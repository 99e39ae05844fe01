"""Reads through read-ahead: right bytes from memory and engine; errors and counts as they are."""

import time

import numpy as np
import pytest

from workbench.tiering.async_io.engine import Completion, Request, StorageError
from workbench.tiering.async_io.read_ahead import ReadAhead
from workbench.tiering.async_io.read_through import read_through

DATA = np.random.default_rng(0).integers(0, 256, 1 << 20, np.uint8)
SIZE = 4096


class Disk:
    """Carries reads out of `DATA`; counts those that were waited for."""

    def __init__(self):
        self.broken = False
        self.carried, self.cached = [], []

    def fill(self, batch):
        for one in batch:
            one.buffer[:] = DATA[one.offset : one.offset + one.n_bytes].data
        return [Completion(one, 1, None) for one in batch]

    def carry(self, batch, deadline_s):
        assert deadline_s >= 0
        if self.broken:
            raise StorageError("gone")
        self.carried += batch
        return self.fill(batch)

    def fetch(self, batch, deadline_s, settled):
        settled(list(enumerate(self.fill(batch))))

    def read(self, ahead, at, n_bytes=SIZE, deadline_s=5.0):
        request = Request("read", 0, at, np.zeros(n_bytes, np.uint8).data)
        (done,) = read_through(ahead, [request], deadline_s, self.carry, self.note)
        return done

    def note(self, n_requests, n_bytes):
        self.cached.append((n_requests, n_bytes))


@pytest.fixture
def ahead_of():
    disk = Disk()
    ahead = ReadAhead(chunk_bytes=64 << 10, cache_bytes=512 << 10, measure=False)
    ahead.bind(disk.fetch, lambda more: None)
    return disk, ahead


def test_a_sequential_reader_gets_right_bytes_and_soon_from_memory(ahead_of):
    disk, ahead = ahead_of
    for at in range(0, 64 * SIZE, SIZE):
        done = disk.read(ahead, at)
        assert done.error is None
        assert bytes(done.request.buffer) == DATA[at : at + SIZE].tobytes()
    assert 0 < len(disk.carried) < 10
    assert sum(n for n, _ in disk.cached) == 64 - len(disk.carried)
    assert sum(n_bytes for _, n_bytes in disk.cached) == (64 - len(disk.carried)) * SIZE


def test_a_read_that_goes_beyond_what_is_here_is_completed_by_the_engine(ahead_of):
    disk, ahead = ahead_of
    for at in range(0, 16 * SIZE, SIZE):
        disk.read(ahead, at)
    at, n_bytes = 16 * SIZE, DATA.nbytes // 2
    done = disk.read(ahead, at, n_bytes)
    assert bytes(done.request.buffer) == DATA[at : at + n_bytes].tobytes()
    (rest,) = [one for one in disk.carried if one.offset > at]
    assert 0 < rest.n_bytes < n_bytes


def test_an_engine_that_refuses_is_told_and_takes_nothing_from_the_next_read(ahead_of):
    disk, ahead = ahead_of
    disk.broken = True
    with pytest.raises(StorageError, match="gone"):
        disk.read(ahead, 0)
    disk.broken = False
    start = time.monotonic_ns()
    done = disk.read(ahead, 0)
    assert bytes(done.request.buffer) == DATA[:SIZE].tobytes()
    assert 0 <= done.took_ns <= time.monotonic_ns() - start + 1
