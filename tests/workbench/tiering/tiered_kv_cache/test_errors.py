"""Test that an error says what is left and what to do."""

from __future__ import annotations

from workbench.errors import WorkbenchError
from workbench.tiering.tiered_kv_cache.errors import BlockLostError, CacheFullError


def test_a_lost_block_says_how_many_tokens_are_left():
    error = BlockLostError(4096)
    assert error.n_tokens == 4096
    assert "first 4,096 tokens" in str(error)
    assert "compute" in str(error)
    assert isinstance(error, WorkbenchError)
    assert issubclass(CacheFullError, WorkbenchError)
