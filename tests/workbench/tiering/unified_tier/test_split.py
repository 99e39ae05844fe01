"""The split moves towards what is waited for, and not for nothing."""

import pytest

from workbench.tiering.unified_tier.split import Split, Stalls


def split():
    return Split(10, 90, 50, 5)


def run(one, *windows):
    return [one.observe(Stalls(weights, kv, 1.0)) for weights, kv in windows]


@pytest.mark.parametrize(
    ("window", "target"), [((0.5, 0.0), 10), ((0.0, 0.5), 90), ((0.3, 0.3), 50), ((0.0, 0.0), 50)]
)
def test_it_moves_to_where_the_waiting_is_as_far_as_it_may(window, target):
    one = split()
    for _ in range(100):
        one.observe(Stalls(*window, 1.0))
        assert 10 <= one.kv_bytes <= 90
    assert one.kv_bytes == target


def test_one_window_is_no_reason_and_neither_is_a_change_of_mind():
    one = split()
    assert run(one, (0.5, 0), (0, 0.5), (0.5, 0), (0, 0.5)) == [False] * 4
    assert run(one, (0, 0.5)) == [True]
    assert one.kv_bytes == 55
    assert run(one, (0, 0.5), (0.1, 0.1), (0, 0.5)) == [False] * 3


@pytest.mark.parametrize("window", [(0.3, 0.21), (0.02, 0.0), (0.0, 0.019)])
def test_small_differences_are_left_alone(window):
    assert not any(run(split(), *[window] * 10))


def test_what_is_needed_and_what_is_refused_bound_the_target():
    one = split()
    assert one.need(70)
    run(one, *[(0.5, 0)] * 50)
    assert one.kv_bytes == 70
    assert not one.need(0)
    run(one, *[(0.5, 0)] * 50)
    assert one.kv_bytes == 10
    one.refuse_above(20)
    run(one, *[(0, 0.5)] * 50)
    assert one.kv_bytes == one.most_bytes == 20
    one.need(1000)
    assert one.kv_bytes == 20
    assert Split(10, 90, 1000, 5).kv_bytes == 90


def test_a_window_is_the_difference_of_two_moments():
    assert Stalls(3, 5, 9).since(Stalls(1, 2, 4)) == Stalls(2, 3, 5)
