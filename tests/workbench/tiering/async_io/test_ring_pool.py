"""Rings are lent to one at a time, made only when needed, and closed when they come back."""

import threading
import time

import pytest

from tests.workbench.tiering.async_io.rings import refused, wait_for
from workbench.tiering.async_io import ring_pool
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.ring import RingRefusedError
from workbench.tiering.async_io.ring_pool import RingPool

pytestmark = pytest.mark.skipif(bool(refused()), reason=f"no io_uring: {refused()}")


def soon(seconds: float = 10.0) -> int:
    return time.monotonic_ns() + int(seconds * 1e9)


@pytest.fixture
def pool():
    pool = RingPool(2, 2, ())
    yield pool
    pool.close(soon(0))


def test_a_ring_is_used_again_before_another_is_made(pool):
    first = pool.check_out(soon())
    pool.check_in(first)
    assert pool.check_out(soon()) is first
    second = pool.check_out(soon())
    assert second is not first
    assert pool.check_out(soon(0.02)) is None
    pool.check_in(second)
    assert pool.check_out(soon()) is second
    pool.check_in(first)
    pool.check_in(second)


def test_a_waiting_thread_gets_the_ring_that_comes_back(pool):
    rings = [pool.check_out(soon()) for _ in range(2)]
    got = []
    waiting = threading.Thread(target=lambda: got.append(pool.check_out(soon())))
    waiting.start()
    pool.check_in(rings[0])
    waiting.join()
    assert got == [rings[0]]
    for ring in rings:
        pool.check_in(ring)


def test_a_useless_ring_makes_room_for_a_new_one(pool):
    rings = [pool.check_out(soon()) for _ in range(2)]
    pool.check_in(rings[0], usable=False)
    third = pool.check_out(soon())
    assert third not in rings
    pool.check_in(third)
    pool.check_in(rings[1])


def test_closing_waits_for_rings_that_are_lent_out(pool):
    ring = pool.check_out(soon())
    closing = threading.Thread(target=pool.close, args=(soon(),))
    closing.start()
    wait_for(lambda: pool._closed)
    with pytest.raises(StorageError, match="closed"):
        pool.check_out(soon())
    assert closing.is_alive()
    pool.check_in(ring)
    closing.join()
    assert pool._n_rings == 0


def test_when_no_more_can_be_made_those_there_are_have_to_do(pool, monkeypatch):
    first = pool.check_out(soon())

    def refuse(*_):
        raise RingRefusedError("no memory")

    monkeypatch.setattr(ring_pool, "Ring", refuse)
    assert pool.check_out(soon(0.01)) is None
    pool.check_in(first)
    assert pool.check_out(soon()) is first
    pool.check_in(first)
