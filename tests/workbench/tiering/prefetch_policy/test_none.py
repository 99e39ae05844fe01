"""Nothing is ever wanted."""

from workbench.tiering.prefetch_policy import NoPrefetch


def test_nothing_is_wanted_whatever_is_to_come():
    assert NoPrefetch().want([1, 2, 3], -1, [[4, 5]]) == []
