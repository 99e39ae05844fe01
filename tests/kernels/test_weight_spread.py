"""Spread blocks count every bit; that they hold what gguf restores: test_weight_layouts.py."""

import numpy as np
import pytest

from kernels import weight_spread

TYPES = [
    weight_spread.Q4_K,
    weight_spread.Q5_K,
    weight_spread.Q6_K,
    weight_spread.Q5_0,
    weight_spread.Q5_1,
]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_every_bit_of_a_block_counts(kind):
    packed, spread = kind.make_inputs(np.random.default_rng(1), 1)
    kind.njit(packed, spread)
    for bit in range(8 * packed.size):
        other, changed = packed.copy(), spread.copy()
        other[bit // 8] ^= np.uint8(1 << bit % 8)
        kind.njit(other, changed)
        assert (changed != spread).any(), f"bit {bit} of {kind.name}"


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_what_does_not_fit_is_refused_and_nothing_is_written(kind):
    packed, spread = kind.make_inputs(np.random.default_rng(2), 2)
    for wrong in (packed[:-1], packed[::2], packed.view(np.int8)):
        with pytest.raises(ValueError, match=r"packed|block"):
            kind.njit(wrong, spread)
    with pytest.raises(ValueError, match="spread"):
        kind.njit(packed, spread[:-1])
    assert not spread.any()


def test_five_bits_are_counted_from_minus_16():
    packed, spread = np.zeros(22, np.uint8), np.zeros(40, np.uint8)
    packed[:2] = np.array([0.5], np.float16).view(np.uint8)
    packed[2] = 0b1000_0001  # values 0 and 7 have their fifth bit
    packed[6] = 0x3F  # value 0 is 15 more, value 16 is 3
    weight_spread.Q5_0.njit(packed, spread)
    assert spread[:8].view(np.float32).tolist() == [0.5, -8.0]
    codes = dict(enumerate(spread[8:].tolist()))
    assert {place: code for place, code in codes.items() if code} == {0: 31, 7: 16, 16: 3}
