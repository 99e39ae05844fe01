"""Rounding to int8: ties, order within the line, and the instructions of three machines."""

import re

import numpy as np
import pytest
from llvmlite import ir
from numba import njit

from kernels import rounding
from tests.kernels.machine_code import assembly, compile_for, compiled, x86


@njit
def round_each(destination, source):
    for index in range(source.size):
        destination[index] = rounding.round_to_int8(source[index])


@njit
def line(destination, source, inverse):
    rounding.int8_line(destination.ctypes.data, source.ctypes.data, source, inverse)


@njit
def line_nontemporal(destination, source, inverse):
    rounding.int8_line_nontemporal(destination.ctypes.data, source.ctypes.data, source, inverse)


@njit
def largest_of(destination, source, count):
    destination[0] = rounding.largest_of(source.ctypes.data, count, source)
    destination[1] = rounding.value_bytes(source)


def aligned(n_bytes: int) -> np.ndarray:
    whole = np.zeros(n_bytes + 64, np.int8)
    start = -whole.ctypes.data % 64
    return whole[start : start + n_bytes]


def test_ties_go_to_even_and_every_whole_number_is_reached():
    values = np.arange(-256, 255, dtype=np.float32) / 2
    got = np.zeros(values.size, np.int8)
    round_each(got, values)
    np.testing.assert_array_equal(got, np.rint(values))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("write", [line, line_nontemporal])
def test_a_line_is_64_values_in_order_and_no_more(write, dtype):
    values = np.random.default_rng(0).permutation(np.arange(-100, 101))[:65].astype(dtype)[1:]
    carried = values.view(np.uint16) if dtype is np.float16 else values
    destination = aligned(192)
    write(destination[64:], carried, np.float32(1.25))
    np.testing.assert_array_equal(destination[64:128], np.rint(values * dtype(1.25)))
    assert not destination[:64].any()
    assert not destination[128:].any()


@pytest.mark.parametrize("count", [64, 65, 127, 128, 129, 200, 256, 321])
@pytest.mark.parametrize("value", [-3.5, np.inf, np.nan])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_largest_is_found_wherever_it_is(dtype, value, count):
    kind = np.uint16 if dtype is np.float16 else np.uint32
    got = np.zeros(2, kind)
    for place in {0, 31, 63, count // 2, count - 64, count - 1}:
        values = np.full(count + 2, -1, dtype)
        values[0] = values[-1] = 1e4  # these lie outside
        values[1 + place] = value
        carried = values.view(kind) if dtype is np.float16 else values
        largest_of(got, carried[1:], count)
        np.testing.assert_array_equal(got[:1].view(dtype), np.abs([dtype(value)]))
        assert got[1] == values.itemsize


@compiled
@x86
def test_loops_and_lines_round_in_vectors():
    bits, floats = np.zeros(64, np.uint16), np.zeros(64, np.float32)
    assert re.search(r"\bv?cvtps2dq\b", assembly(round_each, aligned(64), floats))
    for source in (bits, floats):
        text = assembly(line_nontemporal, aligned(64), source, np.float32(1))
        assert re.search(r"\bv?cvtps2dq\b", text)
        assert re.search(r"\bv?movnt", text)


@pytest.mark.parametrize(
    ("triple", "features", "instructions"),
    [
        ("x86_64-unknown-linux-gnu", "+avx2", ["vcvtps2dq.*%ymm", "vpackssdw.*%ymm", "vpacksswb"]),
        ("x86_64-unknown-linux-gnu", "", ["cvtps2dq.*%xmm", "packuswb"]),
        ("aarch64-unknown-linux-gnu", "", [r"frintx\s.*4s", r"fcvtzs\s.*4s"]),
        ("arm64-apple-darwin", "", [r"frintx(\.4s)?\s", r"fcvtzs(\.4s)?\s"]),
    ],
)
def test_other_machines_get_their_own_instructions(triple, features, instructions):
    lanes = ir.VectorType(ir.FloatType(), 8)
    eight, bytes_64 = ir.ArrayType(lanes, 8), ir.VectorType(ir.IntType(8), 64)

    def body(builder, source, inverse, destination):
        whole = builder.load(source)
        parts = [builder.extract_value(whole, number) for number in range(8)]
        rounded = rounding._line(builder, parts, builder.load(inverse), "avx2" in features)
        builder.store(rounded, destination)

    text = compile_for(triple, features, [eight, ir.FloatType(), bytes_64], body)
    for instruction in instructions:
        assert re.search(instruction, text)
    assert not re.search(r"call|\bbl\b", text)
