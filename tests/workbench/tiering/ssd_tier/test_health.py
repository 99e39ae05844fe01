"""Writes stop after so many failures in a row, and one is tried now and then."""

import threading

from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.ssd_tier.health import Health


def test_failures_in_a_row_make_it_read_only_once() -> None:
    health = Health(VirtualClock(), 3, 30)
    for n in range(5):
        assert health.read_only == (n >= 3)
        health.failed(StorageError(f"number {n}"))
    assert health.reason == "3 writes failed in a row, the last one: number 2"


def test_a_good_write_between_starts_the_count_again() -> None:
    health = Health(VirtualClock(), 2, 30)
    health.failed(StorageError("x"))
    health.wrote()
    health.failed(StorageError("x"))
    assert not health.read_only


def test_one_write_is_let_through_after_the_interval() -> None:
    clock = VirtualClock()
    health = Health(clock, 1, 30)
    health.failed(StorageError("x"))
    assert not health.may_write()
    clock.sleep(31)
    assert [health.may_write(), health.may_write()] == [True, False]
    health.wrote()
    assert health.may_write()
    assert health.reason == ""


class Backwards(VirtualClock):
    def now_ns(self) -> int:
        return -super().now_ns()


def test_a_clock_that_jumps_back_a_day_does_not_lock_writes_out() -> None:
    clock = Backwards()
    health = Health(clock, 1, 30)
    health.failed(StorageError("x"))
    clock.sleep(86400)
    assert health.may_write()


def test_while_read_only_each_interval_lets_one_write_through() -> None:
    clock = VirtualClock()
    health = Health(clock, 1, 30)
    health.failed(StorageError("the first"))
    tried = 0
    for _ in range(300):
        clock.sleep(1)
        if health.may_write():
            tried += 1
            health.failed(StorageError("again"))
    assert tried == 10
    assert "the first" in health.reason, "the reason is said once, and kept"


def test_among_many_threads_one_gets_the_try() -> None:
    clock = VirtualClock()
    health = Health(clock, 1, 30)
    health.failed(StorageError("x"))
    clock.sleep(31)
    start, granted = threading.Barrier(8), []

    def ask() -> None:
        start.wait(10)
        granted.append(health.may_write())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert granted.count(True) == 1


def test_a_healthy_store_has_no_reason_and_writes_freely() -> None:
    health = Health(VirtualClock(), 2, 30)
    assert all(health.may_write() for _ in range(10))
    health.failed(StorageError("once"))
    assert health.may_write()
    assert health.reason == ""
