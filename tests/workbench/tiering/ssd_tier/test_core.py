"""What the parts share: numbers that are never used twice, one writer, one helper."""

import threading
from dataclasses import replace

from tests.torture.stores import SMALL
from tests.workbench.tiering.ssd_tier.conftest import bench_of
from workbench.tiering.ssd_tier.admission.size_limit import SizeLimit
from workbench.tiering.ssd_tier.core import Core


def test_no_number_is_given_out_twice(core: Core) -> None:
    numbers = [core.take_sequence() for _ in range(10)]
    assert numbers == sorted(set(numbers))
    assert core.next_sequence == numbers[-1] + 1


def test_the_writers_lock_is_refused_after_the_deadline(core: Core) -> None:
    granted = []

    def other() -> None:
        with core.writing(core.deadline(0.01)) as held:
            granted.append(held)

    with core.writing(core.deadline(1)) as held:
        assert held
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert granted == [False]


def test_a_closed_store_grants_nothing(core: Core) -> None:
    core.closed = True
    with core.writing(core.deadline(1)) as held:
        assert not held
    core.closed = False


def test_there_is_one_helper(core: Core) -> None:
    assert core.helper() is core.helper()
    assert core.helper().submit(threading.get_ident).result() != threading.get_ident()


def test_the_admission_policy_is_asked() -> None:
    core = bench_of(replace(SMALL, admission=lambda: SizeLimit(10))).core
    assert core.admits(bytes(32), 10)
    assert not core.admits(bytes(32), 11)


def test_the_lock_is_let_go_after_an_error_and_may_be_taken_twice(core: Core) -> None:
    try:
        with core.writing(core.deadline(1)), core.writing(core.deadline(1)) as held:
            assert held
            raise KeyError
    except KeyError:
        pass
    granted = []

    def other() -> None:
        with core.writing(core.deadline(10)) as held:
            granted.append(held)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert granted == [True]


def test_numbers_given_out_by_puts_are_never_given_out_again() -> None:
    bench = bench_of()
    assert bench.tier.put(bytes(32), b"x")
    entry = bench.core.index.get(bytes(32))
    assert entry is not None
    assert bench.core.take_sequence() > entry.sequence
    last = bench.core.take_sequence()
    assert bench.tier.put(bytes(32), b"y")
    entry = bench.core.index.get(bytes(32))
    assert entry is not None
    assert entry.sequence > last
    reopened = bench.killed()._core
    assert reopened.next_sequence > entry.sequence, "not even after a kill"


def test_a_helper_that_was_stopped_finishes_what_it_has(core: Core) -> None:
    begun, go = threading.Event(), threading.Event()

    def work() -> int:
        begun.set()
        assert go.wait(10)
        return 7

    job = core.helper().submit(work)
    assert begun.wait(10)
    core.stop_helper()
    go.set()
    assert job.result(10) == 7


def test_stopping_a_helper_that_never_was_is_harmless(core: Core) -> None:
    core.stop_helper()
