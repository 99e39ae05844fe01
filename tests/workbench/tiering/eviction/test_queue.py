"""A queue keeps the order of joining, whatever leaves and comes back, and finds the oldest."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.tiering.eviction.policy import never
from workbench.tiering.eviction.queue import Queue


def queue_of(*keys):
    queue = Queue()
    for key in keys:
        queue.numbers[key] = 0
    return queue


def test_the_oldest_is_the_first_that_joined_and_is_still_there():
    queue = queue_of(1, 2, 3)
    assert queue.oldest(never) == 1
    queue.renew(1)
    assert (queue.oldest(never), list(queue.numbers)) == (2, [2, 3, 1])
    queue.leave(2)
    assert queue.oldest(never) == 3


def test_a_key_that_left_and_came_back_is_the_newest():
    queue = queue_of(1, 2, 3)
    assert queue.oldest(never) == 1
    queue.leave(1)
    queue.numbers[1] = 0
    assert [queue.leave_oldest() for _ in range(3)] == [2, 3, 1]


def test_pinned_keys_are_passed_over_however_many():
    queue = queue_of(*range(1000))
    assert queue.oldest(lambda key: key < 999) == 999
    assert queue.oldest(lambda key: True) is None
    assert queue.oldest(never) == 0
    assert queue_of().oldest(never) is None


def test_numbers_stay_with_their_keys_and_move_nothing():
    queue = queue_of(1, 2)
    queue.numbers[1] = 7
    assert (queue.numbers[1], queue.numbers[2], queue.oldest(never)) == (7, 0, 1)
    queue.renew(1)
    assert (queue.numbers[1], queue.leave(1), len(queue)) == (7, 7, 1)


@pytest.mark.parametrize("verb", ["leave", "renew"])
def test_a_key_that_is_not_there_is_refused(verb):
    with pytest.raises(KeyError):
        getattr(queue_of(1), verb)(2)


def test_an_empty_queue_has_no_oldest_to_leave():
    assert queue_of().leave_oldest() is None
    assert queue_of(1).leave_oldest(lambda key: True) is None


def test_the_oldest_that_is_not_pinned_leaves_and_the_pinned_stay_in_order():
    queue = queue_of(*range(200))
    assert [queue.leave_oldest({0, 2}.__contains__) for _ in range(3)] == [1, 3, 4]
    assert list(queue.numbers)[:3] == [0, 2, 5]
    assert [queue.leave_oldest() for _ in range(3)] == [0, 2, 5]


def test_a_queue_that_shrank_gives_its_memory_back():
    queue = queue_of(*range(100_000))
    for key in range(99_900):
        queue.leave(key)
    assert queue.leave_oldest() == 99_900
    assert sys.getsizeof(queue.numbers) < 20_000


STEPS = st.lists(st.tuples(st.sampled_from("jjjrlod"), st.integers(0, 200)), max_size=400)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, pinned=st.sets(st.integers(0, 200), max_size=30))
def test_it_is_a_list_that_is_searched(steps, pinned):
    queue, naive = Queue(), []
    for verb, key in steps:
        if verb in "od":
            is_pinned = pinned.__contains__ if key % 2 else never
            free = [one for one in naive if not is_pinned(one)]
            expected = free[0] if free else None
            find = queue.oldest if verb == "o" else queue.leave_oldest
            assert find(is_pinned) == expected
            if verb == "d" and expected is not None:
                naive.remove(expected)
        elif key not in naive:
            queue.numbers[key] = 0
            naive.append(key)
        elif verb == "l":
            queue.leave(key)
            naive.remove(key)
        else:
            queue.renew(key)
            naive.remove(key)
            naive.append(key)
        assert len(queue) == len(naive)
    assert list(queue.numbers) == naive


def test_keys_that_come_and_go_leave_nothing_behind():
    queue = queue_of(*range(500))
    for key in range(500, 50_000):
        assert queue.leave_oldest() == key - 500
        queue.numbers[key] = 0
    assert list(queue.numbers) == list(range(49_500, 50_000))
    assert len(queue._oldest_last) <= 500
