"""Loads and stores of eight: exact, at any alignment, and not a byte beyond; compiled or not."""

import numpy as np
import pytest
from numba import njit

from kernels import vector_memory as m
from kernels.vectors import nearest, splat


@njit
def moved(source, to):
    m.store(to, m.load(source))


@njit
def splats(source, out):
    place = out.ctypes.data
    m.store(place, m.load_splat(source))
    m.store(place + 32, m.load_half_splat(source))
    m.store_float(place + 64, m.load_float(source))


@njit
def narrowed(source, to):
    m.store_int8s(to, nearest(m.load(source)))


@njit
def widened(source, out):
    place = out.ctypes.data
    m.store(place, m.load_halves(source))
    m.store(place + 32, m.load_int8s(source))
    m.store(place + 64, m.load_first_uint8s(source))
    m.store(place + 96, m.load_second_uint8s(source))
    m.store(place + 128, m.load_first_int8s(source))
    m.store(place + 160, m.load_second_int8s(source))


def at(offset, values):
    """Return values that lie at an odd place in memory, and their address."""
    room = np.zeros(offset + values.nbytes, np.uint8)
    room[offset:] = values.view(np.uint8)
    return room, room.ctypes.data + offset


@pytest.mark.parametrize("offset", [0, 1, 4, 31])
def test_eight_floats_move_and_nothing_beside_them(offset):
    values = np.random.default_rng(offset).standard_normal(8, dtype=np.float32)
    values[2:5] = np.nan, np.inf, -0.0
    source, address = at(offset, values)
    target = np.full(len(source) + 32, 7, np.uint8)
    moved(address, target.ctypes.data + offset)
    np.testing.assert_array_equal(target[offset : offset + 32], source[offset:])
    assert (np.delete(target, np.s_[offset : offset + 32]) == 7).all()


@pytest.mark.parametrize("offset", [0, 2, 5])
def test_one_number_fills_all_lanes(offset):
    source, address = at(offset, np.array([-1.5, 3], np.float32))
    out = np.zeros(18, np.float32)
    splats(address, out)
    half = source[offset : offset + 2].view(np.float16)[0]
    np.testing.assert_array_equal(out[:8], np.full(8, -1.5))
    np.testing.assert_array_equal(out[8:16], np.full(8, half, np.float32))
    np.testing.assert_array_equal(out[16:], [-1.5, 0])


def test_whole_numbers_are_stored_as_bytes():
    room, address = at(3, np.array([127, -128, 0, 1, -1, 64, -64, 2], np.float32))
    small = np.full(10, 7, np.int8)
    narrowed(address, small.ctypes.data + 1)
    assert room.size == 35  # and held while its address was used
    np.testing.assert_array_equal(small, [7, 127, -128, 0, 1, -1, 64, -64, 2, 7])


@pytest.mark.parametrize("seed", range(3))
def test_narrow_values_are_widened_exactly(seed):
    halves = np.random.default_rng(seed).standard_normal(8).astype(np.float16)
    halves[:3] = np.float16(6e-8), np.float16(-65504), np.float16(np.inf)
    raw, address = at(seed, halves)
    raw = raw[seed:]
    out = np.zeros((6, 8), np.float32)
    widened(address, out)
    np.testing.assert_array_equal(out[0], halves.astype(np.float32))
    np.testing.assert_array_equal(out[1], raw[:8].view(np.int8))
    np.testing.assert_array_equal(out[2:4], [raw[::2], raw[1::2]])
    np.testing.assert_array_equal(out[4:], [raw[::2].view(np.int8), raw[1::2].view(np.int8)])


@njit
def halved(source, out, to):
    place = out.ctypes.data
    m.store(place, m.load_low_nibbles(source))
    m.store(place + 32, m.load_high_nibbles(source))
    m.store_halves(to, m.load_low_nibbles(source) / splat(np.float32(3)))


@pytest.mark.parametrize("seed", [0, 1])
def test_nibbles_are_widened_and_floats_narrowed_to_the_nearest_half(seed):
    source = np.random.default_rng(seed).integers(0, 256, 8).astype(np.uint8)
    out, halves = np.zeros((2, 8), np.float32), np.zeros(8, np.uint16)
    halved(source.ctypes.data, out, halves.ctypes.data)
    low = (source & 15).astype(np.float32)
    np.testing.assert_array_equal(out, [low, source >> 4])
    np.testing.assert_array_equal(halves.view(np.float16), (low / np.float32(3)).astype(np.float16))


@njit
def rounded(source, to):
    m.store(to, m.rounded_to_half(m.load(source)))


def test_values_are_rounded_as_float16_has_them():
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [
            (rng.standard_normal(400) * 10.0 ** rng.integers(-9, 6, 400)).astype(np.float32),
            np.array([np.nan, np.inf, -np.inf, 0, -0.0, 65_519, 65_520, 2**-25], np.float32),
            rng.integers(0, 2**32, 400, dtype=np.uint32).view(np.float32),
        ]
    )
    out = np.zeros(8, np.float32)
    for at in range(0, values.size, 8):
        eight = values[at : at + 8].copy()
        rounded(eight.ctypes.data, out.ctypes.data)
        with np.errstate(over="ignore", invalid="ignore"):
            expected = eight.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(np.signbit(out), np.signbit(expected))
