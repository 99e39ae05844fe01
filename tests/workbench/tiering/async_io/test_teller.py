"""Whoever wants to know what is whole is told in order, by one thread, and never too late."""

import os
import sys
import threading

import pytest

from tests.workbench.tiering.async_io.rings import wait_for

pytestmark = pytest.mark.skipif(
    sys.platform != "linux",
    reason="eventfd, as the ring that it serves, is Linux's; the thread pool serves others",
)

if sys.platform == "linux":
    from workbench.tiering.async_io.teller import Teller


class Driver:
    """Counts as a ring does, without one."""

    def __init__(self) -> None:
        self.n_whole = 0
        self.teller = Teller(lambda: self.n_whole)

    def finish(self, n_whole: int) -> None:
        self.n_whole = n_whole
        os.eventfd_write(self.teller.event, 1)


@pytest.fixture
def driver():
    driver = Driver()
    yield driver
    driver.teller.close()


def test_every_number_is_told_in_its_order_by_one_other_thread(driver):
    told, threads = [], set()

    def on_whole(n_whole):
        told.append(n_whole)
        threads.add(threading.get_ident())

    with driver.teller.telling(on_whole):
        driver.finish(1)
        driver.finish(2)
        driver.finish(7)
        wait_for(lambda: len(told) == 7)
    assert told == [1, 2, 3, 4, 5, 6, 7]
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_nothing_is_told_when_the_batch_is_over_and_the_next_begins_at_one(driver):
    told = []
    with driver.teller.telling(told.append):
        driver.finish(3)
        wait_for(lambda: len(told) == 3)
    driver.finish(9)
    driver.n_whole = 0
    later = []
    with driver.teller.telling(later.append):
        driver.finish(2)
        wait_for(lambda: len(later) == 2)
    assert (told, later) == ([1, 2, 3], [1, 2])


def test_the_end_waits_for_the_call_under_way_and_for_no_further_one(driver):
    begun, go_on, told = threading.Event(), threading.Event(), []

    def on_whole(n_whole):
        begun.set()
        assert go_on.wait(20)
        told.append(n_whole)

    with driver.teller.telling(on_whole):
        driver.finish(50)
        assert begun.wait(20)
        threading.Timer(0.05, go_on.set).start()
    assert 1 <= len(told) < 50
    assert not driver.teller._lock.locked()


def test_what_was_raised_comes_in_the_end_and_nothing_is_told_after_it(driver):
    told = []

    def on_whole(n_whole):
        told.append(n_whole)
        if n_whole == 2:
            raise RuntimeError(n_whole)

    def run():
        with driver.teller.telling(on_whole):
            driver.finish(5)
            wait_for(lambda: driver.teller._error is not None)

    with pytest.raises(RuntimeError):
        run()
    assert told == [1, 2]
    with driver.teller.telling(told.append):
        driver.finish(5)
        wait_for(lambda: len(told) == 7)


def test_the_drivers_own_error_is_not_replaced(driver):
    with pytest.raises(KeyboardInterrupt), driver.teller.telling(print):
        raise KeyboardInterrupt


def test_closing_ends_the_thread_and_gives_the_descriptor_back():
    before = len(os.listdir("/dev/fd"))
    teller = Teller(lambda: 0)
    thread = teller._thread
    teller.close()
    assert not thread.is_alive()
    assert len(os.listdir("/dev/fd")) == before


def test_a_child_after_a_fork_closes_its_copy_without_waiting(driver):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            driver.teller.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
