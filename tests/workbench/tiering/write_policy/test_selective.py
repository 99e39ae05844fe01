"""A block is written from its second use on, or from the one asked for."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.write_policy import Selective


@pytest.mark.parametrize("min_uses", [1, 2, 5])
def test_the_threshold_itself_is_written(min_uses):
    policy = Selective(min_uses)
    expected = [uses >= min_uses for uses in range(1, 8)]
    assert [policy.on_use(uses) for uses in range(1, 8)] == expected
    assert [policy.on_demote(uses) for uses in range(1, 8)] == expected


def test_the_default_is_the_second_use():
    assert [Selective().on_use(uses) for uses in (1, 2)] == [False, True]


@pytest.mark.parametrize("min_uses", [0, -3])
def test_less_than_one_use_is_refused(min_uses):
    with pytest.raises(UsageError, match=f"min_uses={min_uses} must be at least 1"):
        Selective(min_uses)
