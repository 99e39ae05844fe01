"""The next blocks of the current request are wanted, and no other's."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.prefetch_policy import Sequential


@pytest.mark.parametrize(
    ("position", "wanted"), [(-1, [10, 11, 12]), (0, [11, 12, 13]), (2, [13, 14]), (4, []), (9, [])]
)
def test_the_next_blocks_are_wanted(position, wanted):
    assert Sequential(3).want([10, 11, 12, 13, 14], position, [[20, 21]]) == wanted


def test_no_depth_is_refused():
    with pytest.raises(UsageError, match="depth_blocks=0 must be at least 1"):
        Sequential(0)
