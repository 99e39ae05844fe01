"""The rest of the current request is wanted first, then the waiting ones in their order."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.prefetch_policy import Predicted


@pytest.mark.parametrize(
    ("depth", "wanted"),
    [
        (1, [12]),
        (2, [12, 20]),
        (4, [12, 20, 21, 30]),
        (99, [12, 20, 21, 30, 31]),
    ],
)
def test_what_is_needed_sooner_comes_first(depth, wanted):
    assert Predicted(depth).want([10, 11, 12], 1, [[20, 21], [30, 31]]) == wanted


def test_a_prefix_that_several_requests_share_is_wanted_once():
    assert Predicted().want([1, 2], -1, [[1, 2, 3], [1, 2, 4]]) == [1, 2, 3, 4]


def test_no_depth_is_refused():
    with pytest.raises(UsageError, match="depth_blocks=-1 must be at least 1"):
        Predicted(-1)
