"""Test that tokens are packed where the layout says, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.tiering.tiered_kv_cache.caches import HEAD_DIM, HEADS, LAYERS, config, kept
from workbench.tiering.tiered_kv_cache.layout import LayerRun
from workbench.tiering.tiered_kv_cache.packing import Packer, clear, unpack

DTYPES = ["float32", "float16", "int8"]
SLOTS, ROWS = np.array([2, 2, 0], np.int64), np.array([2, 3, 0], np.int64)


def packed(dtype, rng):
    layout = config(dtype=dtype).layout
    memory = np.full((3, layout.block_bytes), 0xAA, np.uint8)
    places = [layout.places(layer) for layer in range(LAYERS)]
    packer = Packer(layout.geometry, places, memory)
    k, v = rng.standard_normal((2, 3, LAYERS, HEADS, HEAD_DIM), dtype=np.float32)
    return layout, memory, packer, k, v


def run_of(layout, memory, layer):
    """Return a run of slots 2 and 0, whose first two tokens were never stored."""
    where = memory, np.array([2, 0], np.int64), layout.places(layer)
    return LayerRun(*where, 5, layout.tile_dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("at_once", [False, True])
def test_what_is_packed_comes_out(dtype, at_once):
    layout, memory, packer, k, v = packed(dtype, np.random.default_rng(0))
    if at_once:
        packer.store_all(SLOTS, ROWS, k, v)
    else:
        for layer in range(LAYERS):
            one_k, one_v = (np.ascontiguousarray(side[:, layer]) for side in (k, v))
            packer.store(SLOTS, ROWS, layer, one_k, one_v)
    for layer in range(LAYERS):
        got_k, got_v = unpack(layout, run_of(layout, memory, layer), 2, 5)
        np.testing.assert_array_equal(got_k, kept(k, dtype)[:, layer])
        np.testing.assert_array_equal(got_v, kept(v, dtype)[:, layer])
    # Slot 1 is somebody else's, and so are the rows before and after.
    assert (memory[1] == 0xAA).all()
    n_values = HEADS * HEAD_DIM * np.dtype(dtype).itemsize
    assert (memory[0, n_values : 4 * n_values] == 0xAA).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_clearing_leaves_the_first_tokens_and_no_trace_of_the_rest(dtype):
    layout, memory, packer, k, v = packed(dtype, np.random.default_rng(1))
    packer.store_all(SLOTS, ROWS, k, v)
    before = [unpack(layout, run_of(layout, memory, layer), 2, 3) for layer in range(LAYERS)]
    clear(layout, memory[2], 3)
    for layer in range(LAYERS):
        run = run_of(layout, memory, layer)
        np.testing.assert_array_equal(unpack(layout, run, 2, 3), before[layer])
        assert not np.any(unpack(layout, run, 3, 4))


def test_a_head_that_holds_no_number_reads_back_as_none():
    layout, memory, packer, k, v = packed("int8", np.random.default_rng(2))
    k[1, 3, 1, 2] = np.nan
    packer.store_all(SLOTS, ROWS, k, v)
    got, _ = unpack(layout, run_of(layout, memory, 3), 2, 5)
    assert np.isnan(got[1, 1]).all()
    assert np.isfinite(got[1, 0]).all()
