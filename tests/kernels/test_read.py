"""Reads: toy, every word counts, refusals."""

import numpy as np
import pytest

from kernels.read import KERNEL

variants = pytest.mark.parametrize("name", KERNEL.variants)


@variants
def test_toy_by_hand(name):
    result = np.zeros(1, np.uint64)
    KERNEL.variants[name](np.array([0b0110, 0b0011, 2**63], np.uint64), result)
    assert int(result[0]) == 2**63 + 0b0101


@variants
def test_every_word_is_read(name):
    result = np.zeros(1, np.uint64)
    for index in range(300):
        source = np.zeros(300, np.uint64)
        source[index] = index + 1
        KERNEL.variants[name](source, result)
        assert int(result[0]) == index + 1


@variants
def test_refusals_name_what_is_wrong(name):
    read = KERNEL.variants[name]
    result = np.zeros(1, np.uint64)
    with pytest.raises(ValueError, match=r"source is uint8\[8\]"):
        read(np.zeros(8, np.uint8), result)
    with pytest.raises(ValueError, match="contiguous: False"):
        read(np.zeros(8, np.uint64)[::2], result)
    with pytest.raises(ValueError, match="result has 2 words"):
        read(np.zeros(8, np.uint64), np.zeros(2, np.uint64))
