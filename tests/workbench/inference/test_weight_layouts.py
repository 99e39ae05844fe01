"""Every weight type, packed and taken apart again, is what the gguf package restores."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from kernels import (
    matrix,
    matvec_bytes,
    matvec_q4_0,
    matvec_q4_1,
    matvec_q4_k,
    matvec_q6_k,
    matvec_q8_0,
)
from kernels.interleave import interleave
from workbench.inference.weight_layouts import LAYOUTS
from workbench.tiering.mmap_gguf.ggml_types import DEQUANTISED, GGML_TYPES

UNPACK = {
    matrix.Q4_0: matvec_q4_0.unpack,
    matrix.Q4_1: matvec_q4_1.unpack,
    matrix.Q8_0: matvec_q8_0.unpack,
    matrix.Q4_K: matvec_q4_k.unpack,
    matrix.Q6_K: matvec_q6_k.unpack,
    matrix.BYTES: matvec_bytes.unpack,
    matrix.FLOAT16: lambda packed: _columns(packed, np.float16),
    matrix.FLOAT32: lambda packed: _columns(packed, np.float32),
}
# Where a block's float16 lie, so that random bytes do not make NaNs of them.
HALVES = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
    "F16": [0],
}
BY_NAME = {kind.name: kind for kind in GGML_TYPES.values()}


def _columns(packed, dtype):
    values = packed.view(dtype).reshape(len(packed), -1, 8)
    return values.transpose(0, 2, 1).reshape(8 * len(packed), -1)


def random_rows(kind, n_rows=19, n_blocks=2):
    rng = np.random.default_rng(len(kind))
    block_bytes = BY_NAME[kind].block_bytes
    rows = rng.integers(0, 256, (n_rows, n_blocks, block_bytes), dtype=np.uint8)
    for place in HALVES.get(kind, []):
        halves = rng.standard_normal((n_rows, n_blocks, 1)).astype(np.float16)
        rows[..., place : place + 2] = halves.view(np.uint8)
    if kind in ("F32", "BF16"):
        rows = rng.standard_normal((n_rows, 8)).astype(np.float32).view(np.uint8)
        rows = rows if kind == "F32" else rows.reshape(n_rows, -1, 4)[..., 2:]
    return np.ascontiguousarray(rows).reshape(n_rows, -1)


def test_every_type_that_can_be_restored_can_be_packed():
    assert set(LAYOUTS) == set(DEQUANTISED)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_packed_weights_are_the_files(kind):
    rows, layout = random_rows(kind), LAYOUTS[kind]
    words = np.ascontiguousarray(layout.expand(rows))
    packed = np.zeros((3, words.shape[1], 8 * words.shape[2]), np.uint16)
    interleave(words, layout.bases, layout.steps, packed)
    assert layout.block_bytes == 16 * words.shape[2]
    assert sorted(layout.bases + 7 * layout.steps)[-1] == 8 * words.shape[2] - 1
    got = UNPACK[layout.number](packed.view(np.uint8))
    expected = dequantize(rows, GGMLQuantizationType[kind])
    np.testing.assert_allclose(got[:19], expected, rtol=1e-6, atol=1e-6 * abs(expected).max())
    assert not got[19:].any()
    assert expected.shape[1] == words.shape[1] * layout.block_values
