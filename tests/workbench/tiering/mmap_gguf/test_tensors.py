"""Tensor and dequantized(): rows where they lie, values as the kernels restore them."""

import numpy as np
import pytest

from kernels.dequantize import dequantize
from tests.workbench.tiering.gguf_models import KINDS, weights
from workbench.errors import UsageError
from workbench.tiering.mmap_gguf.ggml_types import GGML_TYPES
from workbench.tiering.mmap_gguf.header import TensorInfo
from workbench.tiering.mmap_gguf.tensors import Tensor, dequantized


def tensor(shape: tuple[int, ...], kind: str) -> Tensor:
    packed = weights(np.random.default_rng(0), shape, kind)
    packed.flags.writeable = False
    info = TensorInfo("t", shape, GGML_TYPES[KINDS[kind]], 0, packed.nbytes)
    return Tensor(info, packed)


def test_rows_and_shape_are_numpys():
    one = tensor((64, 5, 3), "Q4_1")
    assert (one.row_values, one.n_rows, one.shape) == (64, 15, (3, 5, 64))
    assert one.rows.shape == (15, 40)
    assert np.shares_memory(one.rows, one.packed)
    np.testing.assert_array_equal(one.rows[7], one.packed[7 * 40 : 8 * 40])


def test_a_vector_is_one_row():
    one = tensor((32,), "F32")
    assert (one.n_rows, one.shape) == (1, (32,))
    np.testing.assert_array_equal(dequantized(one), one.packed.view(np.float32))


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q4_1", "Q8_0", "Q6_K"])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_values_are_the_kernels_whatever_the_threads(kind, threads):
    one = tensor((256, 5), kind)
    expected = np.zeros(5 * 256, np.float32)
    dequantize(kind, one.packed, expected)
    got = dequantized(one, threads)
    assert got.shape == (5, 256)
    np.testing.assert_array_equal(got.ravel().view(np.uint32), expected.view(np.uint32))


def test_what_cannot_be_restored_is_refused():
    with pytest.raises(UsageError, match="tensor t is IQ4_NL, which is not computed with"):
        dequantized(tensor((32, 2), "IQ4_NL"))
    with pytest.raises(UsageError, match="threads=0"):
        dequantized(tensor((32, 2), "Q4_1"), threads=0)


def test_values_beyond_memory_are_refused():
    info = TensorInfo("huge", (1 << 40, 1), GGML_TYPES[KINDS["Q4_1"]], 0, 0)
    with pytest.raises(UsageError, match="the float32 values of huge"):
        dequantized(Tensor(info, np.zeros(0, np.uint8)))
