"""A block is written when it leaves after its second use, or after as many as asked for."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.write_policy import Selective

KEY = bytes(32)


@pytest.mark.parametrize("min_uses", [1, 2, 5])
def test_the_threshold_itself_is_written(min_uses):
    policy = Selective(min_uses)
    expected = [uses >= min_uses for uses in range(1, 8)]
    assert [policy.on_seal(KEY, uses) for uses in range(1, 8)] == expected
    assert [policy.on_demote(KEY, uses) for uses in range(1, 8)] == expected


def test_the_default_is_the_second_use():
    assert [Selective().on_demote(KEY, uses) for uses in (1, 2)] == [False, True]


@pytest.mark.parametrize("min_uses", [0, -3])
def test_less_than_one_use_is_refused(min_uses):
    with pytest.raises(UsageError, match=f"min_uses={min_uses} must be at least 1"):
        Selective(min_uses)
