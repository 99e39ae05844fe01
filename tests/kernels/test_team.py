"""Threads that meet at barriers."""

import threading

import numpy as np
import pytest
from numba import config, njit

from kernels import team


@njit(nogil=True)
def walk(counters, thread, n_threads, n_steps, places):
    """Step together; count how often another thread was seen elsewhere."""
    strays = 0
    for step in range(n_steps):
        places[thread] = step
        team.meet(counters, thread, n_threads)
        for other in range(n_threads):
            strays += places[other] != step
        team.meet(counters, thread, n_threads)
    places[n_threads + thread] = strays


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_nobody_passes_before_all_have_come(n_threads):
    if config.DISABLE_JIT:
        n_threads = 1  # interpreted threads would wait for each other's interpreter lock
    memory, places = team.lines(n_threads), np.zeros(2 * n_threads, np.int64)
    counters = team.first_line(memory)
    walk(counters, 0, 1, 1, np.zeros(2, np.int64))  # compiled by one thread alone
    threads = [
        threading.Thread(target=walk, args=(counters, number, n_threads, 200, places))
        for number in range(n_threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(places[n_threads:], 0)


@pytest.mark.skipif(config.DISABLE_JIT, reason="interpreted counters do not wrap")
def test_counters_may_wrap():
    memory, places = team.lines(2), np.zeros(4, np.int64)
    counters = team.first_line(memory)
    start = (counters - memory.ctypes.data) // 4
    memory[[start, start + 16]] = 2**32 - 5
    walk(counters, 0, 1, 1, np.zeros(2, np.int64))
    threads = [
        threading.Thread(target=walk, args=(counters, number, 2, 20, places)) for number in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory[start] == 2**32 - 5 + 40 - 2**32
    assert not places[2:].any()


def test_each_counter_has_a_line_of_its_own():
    memory = team.lines(3)
    first = team.first_line(memory)
    assert first % 64 == 0
    assert first >= memory.ctypes.data
    assert first + 3 * 64 <= memory.ctypes.data + memory.nbytes


@pytest.mark.parametrize(("n_items", "n_threads"), [(0, 2), (1, 3), (9, 2), (64, 5)])
def test_shares_are_even_and_leave_nothing_out(n_items, n_threads):
    shares = [team.share(n_items, number, n_threads) for number in range(n_threads)]
    assert [item for first, last in shares for item in range(first, last)] == list(range(n_items))
    sizes = [last - first for first, last in shares]
    assert max(sizes) - min(sizes) <= 1


def test_offering_the_processor_returns():
    @njit
    def offer():
        team.pause()
        return team.offer_processor()

    assert offer() == 0
