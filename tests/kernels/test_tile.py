"""Tiled copies: toy, refusals."""

import numpy as np
import pytest

from kernels.tile import KERNEL

variants = pytest.mark.parametrize("name", KERNEL.variants)


@variants
def test_toy_by_hand(name):
    destination = np.zeros(6, np.uint8)
    KERNEL.variants[name](destination, np.array([1, 2, 3], np.uint8))
    assert destination.tolist() == [1, 2, 3, 1, 2, 3]


@variants
def test_refusals_name_what_is_wrong(name):
    tile = KERNEL.variants[name]
    with pytest.raises(ValueError, match="no multiple of the source's 3"):
        tile(np.zeros(7, np.uint8), np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="no multiple of the source's 0"):
        tile(np.zeros(7, np.uint8), np.zeros(0, np.uint8))
    whole = np.zeros(9, np.uint8)
    with pytest.raises(ValueError, match="overlap"):
        tile(whole, whole[:3])
