"""Arriving things: each taken once and in order, by any number of threads, until no more come."""

import threading

import pytest

from workbench.tiering.arriving import Arriving


def test_nothing_is_taken_before_it_is_here():
    arriving = Arriving()
    assert arriving.take() is None
    arriving.arrive(2)
    assert (arriving.n_here, arriving.n_waiting) == (2, 2)
    assert [arriving.take() for _ in range(3)] == [0, 1, None]
    assert arriving.n_waiting == 0


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_every_one_is_worked_on_once(n_threads):
    arriving, taken = Arriving(), []
    threads = [
        threading.Thread(target=arriving.follow, args=(taken.append,)) for _ in range(n_threads)
    ]
    for thread in threads:
        thread.start()
    for n_here in (1, 3, 3, 200):
        arriving.arrive(n_here)
    arriving.end(1_000)
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(taken) == list(range(1_000))


def test_ending_without_a_number_leaves_what_is_here_to_be_taken():
    arriving, taken = Arriving(), []
    arriving.arrive(3)
    arriving.end()
    arriving.follow(taken.append)
    assert taken == [0, 1, 2]


def test_work_that_fails_is_not_done_twice():
    arriving, taken = Arriving(), []

    def work(number):
        taken.append(number)
        raise ValueError(number)

    arriving.end(2)
    with pytest.raises(ValueError, match="0"):
        arriving.follow(work)
    arriving.follow(taken.append)
    assert taken == [0, 1]
