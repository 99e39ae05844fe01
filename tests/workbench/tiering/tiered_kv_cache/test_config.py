"""Test that a configuration names everything that is wrong with it at once."""

from __future__ import annotations

import pytest

from tests.workbench.tiering.tiered_kv_cache.caches import GEOMETRY, config
from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import CacheConfig


def test_every_problem_is_named():
    with pytest.raises(UsageError) as caught:
        config(
            hot_bytes=0,
            block_tokens=0,
            high_watermark_frac=0.5,
            low_watermark_frac=0.6,
            recent_tokens=-1,
            staging_bytes=0,
            write_queue_blocks=0,
            write_wait_s=float("inf"),
            close_wait_s=-1.0,
        )
    names = [problem.split(":")[1].split("=")[0].strip() for problem in caught.value.problems]
    assert names == [
        "hot_bytes",
        "low_watermark_frac",
        "recent_tokens",
        "staging_bytes",
        "write_queue_blocks",
        "write_wait_s",
        "close_wait_s",
        "block_tokens",
    ]


@pytest.mark.parametrize("high", [0.0, 1.01])
def test_the_high_watermark_is_a_part_of_the_slots(high):
    with pytest.raises(UsageError, match="high_watermark_frac"):
        config(high_watermark_frac=high, low_watermark_frac=0.0)


def test_what_no_block_can_hold_is_refused():
    with pytest.raises(UsageError, match="dtype='float64' cannot be cached"):
        CacheConfig(KVGeometry(1, 1, 1, "float64"), 1 << 20)
    assert CacheConfig(GEOMETRY, 1 << 20).layout.block_tokens == 64


def test_a_codec_that_is_unknown_or_cannot_code_what_is_kept_is_refused():
    with pytest.raises(UsageError, match="unknown codec 'int88'; did you mean int8"):
        config(codec="int88")
    floats = KVGeometry(1, 1, 8, "float32")
    with pytest.raises(UsageError, match="codec 'int4' codes float16, the cache keeps float32"):
        CacheConfig(floats, 1 << 20, codec="int4")
    assert CacheConfig(floats, 1 << 20).codec_id == 0
    assert CacheConfig(KVGeometry(1, 1, 8, "float16"), 1 << 20, codec="int8").codec_id == 2


def test_some_layers_may_have_another_codec():
    halves = KVGeometry(4, 1, 8, "float16")
    mixed = CacheConfig(halves, 1 << 20, codec="int8,int4:2-3")
    assert (mixed.codec_id, mixed.layer_codecs) == (16, bytes([2, 0, 2, 0, 4, 0, 4, 0]))
    assert CacheConfig(halves, 1 << 20, codec="int4,int8:0-3").codec_id == 2
    assert CacheConfig(halves, 1 << 20, codec="int8").layer_codecs == b""
    with pytest.raises(UsageError) as told:
        CacheConfig(halves, 0, codec="int8,int4:4,int5:1")
    assert any("unknown codec 'int5'" in problem for problem in told.value.problems)
    with pytest.raises(UsageError, match="layer 4: the model has layers 0 to 3") as told:
        CacheConfig(halves, 0, codec="int8,int4:4")
    assert len(told.value.problems) == 2
