"""Blocks up to the limit are admitted, larger ones are not."""

from dataclasses import replace

import pytest

from tests.torture.stores import SMALL, open_small
from tests.workbench.tiering.ssd_tier.bare_cores import key_of, new_disk
from workbench.errors import UsageError
from workbench.tiering.ssd_tier.admission.size_limit import SizeLimit


@pytest.mark.parametrize("limit", [1, 4096, 5000])
def test_the_limit_itself_is_admitted(limit):
    policy = SizeLimit(limit)
    sizes = (0, limit - 1, limit, limit + 1, 1 << 40)
    assert [policy.admits(key_of(1), n) for n in sizes] == [True, True, True, False, False]


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_that_admits_nothing_is_refused_with_the_fix(limit):
    with pytest.raises(UsageError, match=f"max_bytes={limit} .* give at least 1"):
        SizeLimit(limit)


def test_a_store_with_it_counts_what_it_refuses_and_keeps_the_old_bytes():
    disk = new_disk()
    with open_small(disk, disk, replace(SMALL, admission=lambda: SizeLimit(100))) as tier:
        assert tier.put(key_of(1), bytes(100))
        assert not tier.put(key_of(2), bytes(101))
        assert tier.get(key_of(1)) == bytes(100)
        assert tier.get(key_of(2)) is None
        counts = tier.stats().counts
    assert (counts.puts, counts.puts_not_admitted, counts.puts_written) == (2, 1, 1)
