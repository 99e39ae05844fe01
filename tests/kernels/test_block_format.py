"""A type's record: rounding as float32 rounds, refusal of what does not fit, NaNs as NaNs."""

import struct

import numpy as np
import pytest

from kernels.block_format import BlockFormat, half, same_floats, single
from kernels.record import all_kernels

PAIRS = BlockFormat("PAIRS", 2, 3)


def decode(raw: bytes) -> list[float]:
    return [raw[2] * value for value in raw[:2]]


def test_the_reference_goes_block_by_block():
    packed = np.array([1, 2, 3, 4, 5, 10], np.uint8)
    values = np.zeros(4, np.float32)
    PAIRS.reference(decode)(packed, values)
    assert values.tolist() == [3, 6, 40, 50]


def test_the_checked_kernel_runs_or_refuses():
    run = PAIRS.checked(PAIRS.reference(decode))
    values = np.zeros(2, np.float32)
    run(np.array([1, 2, 3], np.uint8), values)
    assert values.tolist() == [3, 6]
    for packed, room in ((np.zeros(4, np.uint8), values), (np.zeros(3, np.uint8), values[:1])):
        with pytest.raises(ValueError, match="a block of 3 bytes holds 2 values"):
            run(packed, room)
    with pytest.raises(ValueError, match="values is float64"):
        run(np.zeros(3, np.uint8), np.zeros(2))


def test_inputs_are_whole_blocks():
    packed, values = PAIRS.make_inputs(np.random.default_rng(0), 5)
    assert (packed.size, values.size) == (15, 10)


def test_every_registered_type_has_its_record():
    kinds = "f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q4_k q5_k q6_k"
    assert {f"dequantize_{kind}" for kind in kinds.split()} <= set(all_kernels())


def test_rounding_is_that_of_float32():
    rng = np.random.default_rng(3)
    one, two = (rng.standard_normal(2000).astype(np.float32) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert single(float(a) * float(b)) == a * b
        assert single(float(a) + float(b)) == a + b


def test_a_half_is_read_where_it_stands():
    assert half(b"\x00" + struct.pack("<e", -1.5), 1) == -1.5
    assert half(b"\x01\x00", 0) == 2.0**-24


def test_nans_equal_nans_and_zeros_keep_their_signs():
    quiet, other = np.array([0x7FC00000, 0xFFC00001], np.uint32).view(np.float32)
    same_floats(np.array([quiet]), np.array([other]))
    with pytest.raises(AssertionError, match="differ at"):
        same_floats(np.array([0.0], np.float32), np.array([-0.0], np.float32))
    with pytest.raises(AssertionError, match="differ at"):
        same_floats(np.array([quiet]), np.array([1.0], np.float32))
