"""The three unpacking steps: each against its formula."""

import numpy as np
import pytest
from numba import config, njit

from kernels.weight_codes import (
    N_CODES,
    NO_OFFSET,
    write_bytes,
    write_codes,
    write_codes_of_word,
)


@njit
def run_codes(values, low, low_shift, high, high_shift, high_mask, bias, scale, offset):
    to, low_at, high_at = values.ctypes.data, low.ctypes.data, high.ctypes.data
    write_codes(to, low_at, low_shift, high_at, high_shift, high_mask, bias, scale, offset)


@njit
def run_word(values, low, low_shift, word, bias, scale, offset):
    to, low_at = values.ctypes.data, low.ctypes.data
    write_codes_of_word(to, low_at, low_shift, word, bias, scale, offset)


@njit
def run_bytes(values, source, scale):
    write_bytes(values.ctypes.data, source.ctypes.data, scale)


@njit
def run_without_high(values, low):
    # A constant mask of 0: what would be read at address 0 is never read.
    write_codes(values.ctypes.data, low.ctypes.data, 0, 0, 0, 0, 8, np.float32(2), NO_OFFSET)


SCALE, OFFSET = np.float32(-0.37), np.float32(11.1)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, N_CODES, np.uint8)


def room() -> np.ndarray:
    """Return room for the values with one more at each end."""
    return np.full(N_CODES + 2, 7, np.float32)


@pytest.mark.parametrize("low_shift", [0, 4])
@pytest.mark.parametrize(("high_shift", "high_mask"), [(0, 0), (0, 1), (7, 1), (6, 3), (2, 3)])
@pytest.mark.parametrize("bias", [0, 8, 32])
def test_codes_join_their_bits_and_are_scaled(low_shift, high_shift, high_mask, bias):
    low, high, values = noise(1), noise(2), room()
    run_codes(values[1:-1], low, low_shift, high, high_shift, high_mask, bias, SCALE, OFFSET)
    for place in range(N_CODES):
        upper = (int(high[place]) >> high_shift) & high_mask
        code = (int(low[place]) >> low_shift & 15 | upper << 4) - bias
        assert values[1 + place] == SCALE * np.float32(code) + OFFSET
    assert values[0] == values[-1] == 7


@pytest.mark.parametrize("low_shift", [0, 4])
@pytest.mark.parametrize("word", [0, 0xFFFF, 0x8001, 0xABCD1234])
def test_a_words_bits_are_the_fifth_ones(low_shift, word):
    low, values = noise(3), room()
    run_word(values[1:-1], low, low_shift, np.uint32(word), 16, SCALE, NO_OFFSET)
    for place in range(N_CODES):
        code = (int(low[place]) >> low_shift & 15 | (word >> place & 1) << 4) - 16
        assert values[1 + place] == SCALE * np.float32(code)
    assert values[0] == values[-1] == 7


def test_bytes_are_signed():
    source, values = noise(4), room()
    source[:3] = 0x80, 0x7F, 0xFF
    run_bytes(values[1:-1], source, SCALE)
    np.testing.assert_array_equal(values[1:-1], SCALE * source.view(np.int8).astype(np.float32))
    assert values[0] == values[-1] == 7


def test_no_offset_keeps_the_sign_of_zero():
    values = room()
    run_codes(values[1:-1], np.zeros(N_CODES, np.uint8), 0, noise(0), 0, 0, 0, SCALE, NO_OFFSET)
    np.testing.assert_array_equal(np.signbit(values[1:-1]), True)


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_without_upper_bits_nothing_is_read_there():
    low, values = noise(5), np.zeros(N_CODES, np.float32)
    run_without_high(values, low)
    np.testing.assert_array_equal(values, 2 * ((low & 15).astype(np.float32) - 8))
