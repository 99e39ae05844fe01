"""Interleaving: order, warm-up, rates; and the null comparison on this very machine."""

import threading
import time

import numpy as np
import pytest

from kernels.copy import KERNEL
from workbench.benchmark.paired import Case, Samples, interleave, timed, timed_on_threads
from workbench.benchmark.statistics import MIN_ROUNDS, relation


def recorded(name: str, log: list[str], seconds: float = 0.5) -> Case:
    def run() -> float:
        log.append(name)
        return seconds

    return Case(name, run, work=10)


def test_order_is_there_and_back_after_one_uncounted_call_each():
    log: list[str] = []
    samples = interleave([recorded(name, log) for name in "abc"], rounds=3)
    assert "".join(log) == "abc" + "abc" + "cba" + "abc"
    assert [len(samples.seconds[name]) for name in "abc"] == [3, 3, 3]


def test_rates_are_work_per_second():
    log: list[str] = []
    samples = interleave([recorded("slow", log, 2.0), recorded("fast", log, 0.5)], rounds=10)
    np.testing.assert_array_equal(samples.rate("slow"), np.full(10, 5.0))
    assert samples.median_rate("fast") == 20
    assert samples.ratio("fast", "slow").median == pytest.approx(4)


def test_progress_hears_every_round():
    heard: list[int] = []
    interleave([recorded("a", [])], rounds=3, on_round=heard.append)
    assert heard == [1, 2, 3]


@pytest.mark.parametrize(("names", "rounds"), [("", 1), ("aa", 1), ("ab", 0)])
def test_refusals(names, rounds):
    with pytest.raises(ValueError, match="at least one round of uniquely named cases"):
        interleave([recorded(name, []) for name in names], rounds)


def test_timed_answers_the_seconds_of_the_call():
    asleep = timed(time.sleep, 0.02)()
    assert 0.02 <= asleep < 10


def test_threads_each_get_their_share_and_overlap():
    barrier = threading.Barrier(3, timeout=10)
    done: list[int] = []

    def work(number: int) -> None:
        barrier.wait()  # passes only when all three run at once
        done.append(number)

    seconds = timed_on_threads(work, [(0,), (1,), (2,)])()
    assert sorted(done) == [0, 1, 2]
    assert seconds > 0


def test_one_share_runs_in_the_calling_thread():
    seen: list[int] = []
    timed_on_threads(lambda: seen.append(threading.get_ident()), [()])()
    assert seen == [threading.get_ident()]


def test_the_same_code_twice_is_told_apart_at_most_once_in_25_tries():
    rng = np.random.default_rng(0)
    destination, source = KERNEL.make_inputs(rng, 1 << 20)
    copy = KERNEL.variants["njit_vector"]
    told_apart = 0
    for _ in range(25):
        cases = [Case(name, timed(copy, destination, source), source.nbytes) for name in "ab"]
        samples: Samples = interleave(cases, MIN_ROUNDS)
        told_apart += relation(samples.ratio("a", "b")) != "undecided"
    assert told_apart <= 1
