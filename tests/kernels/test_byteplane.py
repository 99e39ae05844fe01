"""Byte planes: by hand, there and back, refusals."""

import numpy as np
import pytest

from kernels.byteplane import JOIN, SPLIT

splits = pytest.mark.parametrize("variant", SPLIT.variants)


@splits
def test_one_value_by_hand(variant):
    upper, lower = np.zeros((1, 2), np.uint8), np.zeros((1, 2), np.uint8)
    SPLIT.variants[variant](upper, lower, np.array([[0x3C01, 0xFFFE]], np.uint16))
    assert upper.tolist() == [[0x3C, 0xFF]]
    assert lower.tolist() == [[0x01, 0xFE]]


@splits
@pytest.mark.parametrize("join", JOIN.variants)
def test_every_value_comes_back(variant, join):
    source = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    upper, lower, joined = (
        np.empty((256, 256), np.uint8),
        np.empty((256, 256), np.uint8),
        source * 0,
    )
    SPLIT.variants[variant](upper, lower, source)
    JOIN.variants[join](joined, upper, lower)
    np.testing.assert_array_equal(joined, source)


@pytest.mark.parametrize("kernel", [SPLIT, JOIN])
@pytest.mark.parametrize("position", range(3))
def test_mismatched_arrays_are_refused(kernel, position):
    arrays = list(kernel.make_inputs(np.random.default_rng(0), 7))
    arrays[position] = arrays[position][:-1]
    with pytest.raises(ValueError, match=r"must be|is not|pass"):
        kernel.variants["njit"](*arrays)
    with pytest.raises(ValueError, match="uint16"):
        kernel.variants["njit"](*(array.astype(np.float32) for array in arrays))
