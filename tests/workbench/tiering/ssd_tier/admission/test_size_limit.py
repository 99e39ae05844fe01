"""Blocks up to the limit are admitted, and none above."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.ssd_tier.admission.size_limit import SizeLimit


def test_the_limit_itself_is_admitted() -> None:
    policy = SizeLimit(100)
    assert [policy.admits(bytes(32), n) for n in (0, 99, 100, 101)] == [True, True, True, False]


def test_a_limit_that_admits_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="max_bytes=0"):
        SizeLimit(0)
