"""What the parts share: numbers that are never used twice, one writer, one helper."""

import threading

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


def test_the_admission_policy_is_asked(core: Core) -> None:
    assert core.admits(bytes(32), 5)
