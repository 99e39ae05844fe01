"""A block's layer as float32: what is refused (values: the record, and the codecs' own tests)."""

import numpy as np
import pytest

from kernels.block_widen import KERNEL, make_block, needed_step, part_bytes
from kernels.kv_tile import FLOAT16, FLOAT32, INT8, STORED_INT4, STORED_INT8, STORED_ROTATED


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (FLOAT32, (4 * 768, 0, 0)),
        (FLOAT16, (2 * 768, 0, 0)),
        (INT8, (768, 48, 48)),
        (STORED_INT8, (768, 48, 48)),
        (STORED_INT4, (384, 4 * 96, 4 * 24)),
        (STORED_ROTATED, (384, 4 * 96, 4 * 24)),
    ],
)
def test_sizes_by_hand(dtype, expected):
    assert part_bytes(dtype, (8, 3, 32)) == expected


@pytest.mark.parametrize("variant", KERNEL.variants)
def test_what_could_not_be_indexed_is_refused(variant):
    widen = KERNEL.variants[variant]
    row, places = make_block(np.random.default_rng(0), STORED_INT4, (8, 2, 32))
    k, v = np.zeros((2, 8, 2, 32), np.float32)
    widen(k, v, row, places, STORED_INT4, 8)
    assert needed_step(STORED_INT4) == 16
    with pytest.raises(ValueError, match="multiple of 16"):
        widen(k[..., :24].copy(), v, row, places, STORED_INT4, 8)
    with pytest.raises(ValueError, match="do not lie within"):
        widen(k, v, row[:-65].copy(), places, STORED_INT4, 8)
    with pytest.raises(ValueError, match="do not lie within"):
        widen(k, v, row, places - 1, STORED_INT4, 8)
    with pytest.raises(ValueError, match="8 tokens of blocks of 6"):
        widen(k, v, row, places, STORED_INT4, 6)
    with pytest.raises(ValueError, match="v_out is float32"):
        widen(k, v[:7].copy(), row, places, STORED_INT4, 8)
