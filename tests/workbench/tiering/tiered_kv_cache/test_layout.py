"""Test that no two parts of a block overlap, and that nothing lies outside it."""

from __future__ import annotations

import itertools

import pytest

from workbench.errors import UsageError
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache.layout import BlockLayout


def test_the_real_model_at_fp16_by_hand():
    layout = BlockLayout(KVGeometry(30, 3, 64, "float16"))
    assert layout.layer_bytes == 2 * 64 * 3 * 64 * 2
    assert layout.frame_layers == 15
    assert layout.n_frames == 2
    assert layout.block_bytes == 64 * 23_040
    assert layout.places(16).k == layout.frame_bytes + layout.layer_bytes
    assert layout.places(16).v - layout.places(16).k == 64 * 3 * 64 * 2


@pytest.mark.parametrize(
    ("geometry", "frame_layers"),
    [
        (KVGeometry(30, 3, 64, "int8"), 15),
        (KVGeometry(30, 3, 64, "float32"), 8),
        (KVGeometry(80, 8, 128, "float16"), 3),
        (KVGeometry(3, 64, 128, "float32"), 1),
        (KVGeometry(1, 8, 128, "float32"), 1),
        (KVGeometry(8, 2, 64, "float16"), 4),
        (KVGeometry(7, 2, 64, "float16"), 7),
    ],
)
def test_frames_are_as_large_as_is_good_and_small_blocks_are_whole(geometry, frame_layers):
    assert BlockLayout(geometry) == BlockLayout(geometry, frame_layers=frame_layers)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 2, 3), (7, 3, 64), (13, 1, 128)])
@pytest.mark.parametrize(("block_tokens", "frame_layers"), [(1, 1), (16, 3), (64, 100)])
def test_parts_fill_a_block_without_overlap(dtype, shape, block_tokens, frame_layers):
    geometry = KVGeometry(*shape, dtype)
    layout = BlockLayout(geometry, block_tokens, frame_layers)
    size = {"float32": 4, "float16": 2, "int8": 1}[dtype]
    side = block_tokens * geometry.kv_heads * geometry.head_dim * size
    scales = block_tokens * geometry.kv_heads * 2 if dtype == "int8" else 0
    parts = []
    for layer in range(geometry.layers):
        places = layout.places(layer)
        mine = [(places.k, side), (places.v, side)]
        if scales:
            mine += [(places.k_scales, scales), (places.v_scales, scales)]
        frame = layout.frame_slice(layout.frame_of(layer))
        assert all(frame.start <= at and at + n <= frame.stop for at, n in mine)
        parts += mine
    parts.sort()
    assert all(at + n <= after for (at, n), (after, _) in itertools.pairwise(parts))
    assert parts[-1][0] + parts[-1][1] <= layout.block_bytes
    assert layout.block_bytes % PAGE_BYTES == 0
    assert layout.frame_slice(layout.n_frames - 1).stop == layout.block_bytes


def test_every_problem_is_named():
    with pytest.raises(UsageError) as refused:
        BlockLayout(KVGeometry(1, 1, 1, "float64"), 0, -1)
    assert all(
        word in str(refused.value) for word in ("float64", "block_tokens=0", "frame_layers=-1")
    )
