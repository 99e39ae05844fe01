"""Copies: every alignment of both ends, nothing beside the range, clear refusals."""

import numpy as np
import pytest

from kernels.copy import KERNEL
from workbench.benchmark.paired import timed_on_threads

variants = pytest.mark.parametrize("name", KERNEL.variants)
GUARD = 0xA5


@variants
def test_toy_by_hand(name):
    destination = np.zeros(3, np.uint8)
    KERNEL.variants[name](destination, np.array([7, 0, 255], np.uint8))
    assert destination.tolist() == [7, 0, 255]


@variants
@pytest.mark.parametrize("size", [1, 63, 64, 65, 200, 16_384 + 64, 16_384 + 191])
def test_every_alignment_and_no_byte_beside_it(name, size):
    rng = np.random.default_rng(size)
    source = rng.integers(0, 256, size + 64, dtype=np.uint8)
    for to_offset, from_offset in [(0, 0), (1, 0), (0, 1), (63, 1), (32, 48), (5, 5)]:
        whole = np.full(size + 192, GUARD, np.uint8)
        start = -whole.ctypes.data % 64 + 64 + to_offset
        destination = whole[start : start + size]
        KERNEL.variants[name](destination, source[from_offset : from_offset + size])
        np.testing.assert_array_equal(destination, source[from_offset : from_offset + size])
        assert (whole[:start] == GUARD).all()
        assert (whole[start + size :] == GUARD).all()


@variants
def test_two_threads_copy_their_halves(name):
    source = np.random.default_rng(0).integers(0, 256, 100_001, dtype=np.uint8)
    destination = np.zeros_like(source)
    middle = 50_000
    shares = [(destination[:middle], source[:middle]), (destination[middle:], source[middle:])]
    assert timed_on_threads(KERNEL.variants[name], shares)() > 0
    np.testing.assert_array_equal(destination, source)


@variants
def test_refusals_name_what_is_wrong(name):
    copy = KERNEL.variants[name]
    good = np.zeros(8, np.uint8)
    with pytest.raises(ValueError, match="destination has 8 bytes, source 7"):
        copy(good, np.zeros(7, np.uint8))
    with pytest.raises(ValueError, match=r"source is float64\[8\]"):
        copy(good, np.zeros(8))
    with pytest.raises(ValueError, match="contiguous: False"):
        copy(good, np.zeros(16, np.uint8)[::2])
    with pytest.raises(ValueError, match="overlap"):
        copy(good[1:], good[:-1])


def test_traffic_counts_both_directions():
    assert KERNEL.bytes_moved(*KERNEL.make_inputs(np.random.default_rng(0), 10)) == 20
