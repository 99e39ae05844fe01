"""float16 conversion: every half, every rounding, the instructions, and machines without them."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from llvmlite import ir
from numba import njit

from kernels import half
from tests.kernels.machine_code import assembly, compile_for, compiled, x86

ALL_HALVES = np.arange(1 << 16, dtype=np.uint16)
QUIET_HALF, QUIET_FLOAT = np.uint16(1 << 9), np.uint32(1 << 22)


@njit
def widen(destination, source):
    for index in range(source.size):
        destination[index] = half.half_to_float(source[index])


@njit
def narrow(destination, source):
    for index in range(source.size):
        destination[index] = half.float_to_half(source[index])


@njit
def magnitudes(destination, source):
    for index in range(source.size):
        destination[index] = half.magnitude_bits(source[index])


@njit
def as_floats(destination, source):
    for index in range(source.size):
        destination[index] = half.as_float(source[index])


@njit
def narrow_value(destination, source):
    half.narrow_value(destination.ctypes.data, source.ctypes.data)


@njit
def narrow_line(destination, source):
    half.narrow_line(destination.ctypes.data, source.ctypes.data)


@njit
def narrow_line_nontemporal(destination, source):
    half.narrow_line_nontemporal(destination.ctypes.data, source.ctypes.data)


def expected_floats(halves: np.ndarray) -> np.ndarray:
    """Return NumPy's conversion, whose NaNs we want quiet."""
    floats = halves.view(np.float16).astype(np.float32)
    bits = floats.view(np.uint32)
    return np.where(np.isnan(floats), bits | QUIET_FLOAT, bits)


def expected_halves(floats: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        bits = floats.astype(np.float16).view(np.uint16)
    payload = (floats.view(np.uint32) >> 13 & 0x3FF).astype(np.uint16)
    return np.where(np.isnan(floats), bits & 0xFC00 | payload | QUIET_HALF, bits)


def awkward_floats() -> np.ndarray:
    """Every half, what lies half way to the next one, their neighbours, and random bits."""
    halves = ALL_HALVES.view(np.float16).astype(np.float32)
    with np.errstate(invalid="ignore"):
        halfway = (halves[:-1] + halves[1:]) / 2
    infinity = np.float32(np.inf)
    near = [np.nextafter(halfway, infinity), np.nextafter(halfway, -infinity)]
    edges = np.array(
        [65519, 65520, 65536, 1e30, 2**-25, 2**-24, 1.5 * 2**-25, 1e-45, 0], np.float32
    )
    bits = np.random.default_rng(0).integers(0, 1 << 32, 20_000, dtype=np.uint32)
    return np.concatenate([halves, halfway, *near, edges, -edges, bits.view(np.float32)])


def test_every_half_widens_to_what_numpy_makes_of_it():
    got = np.zeros(ALL_HALVES.size, np.float32)
    widen(got, ALL_HALVES)
    np.testing.assert_array_equal(got.view(np.uint32), expected_floats(ALL_HALVES))


def test_floats_narrow_to_the_nearest_half_ties_to_even():
    floats = awkward_floats()
    got = np.zeros(floats.size, np.uint16)
    narrow(got, floats)
    np.testing.assert_array_equal(got, expected_halves(floats))


def test_magnitudes_order_as_the_values_do_and_nans_come_last():
    floats = np.array([-0.0, 1e-45, -1e-7, 1, -2, np.inf, -np.nan], np.float32)
    with np.errstate(under="ignore"):
        halves = floats.astype(np.float16).view(np.uint16)
    for values, kind in ((floats, np.uint32), (halves, np.uint16)):
        bits, got, want = np.zeros(7, kind), np.zeros(7, np.float32), np.zeros(7, np.float32)
        magnitudes(bits, values)
        assert (np.diff(bits.astype(np.int64)) >= 0).all()
        as_floats(got, bits)
        as_floats(want, values)
        np.testing.assert_array_equal(got, np.abs(want))


def test_the_twins_are_the_same_function():
    for name, twin in (("_half_to_float_twin", widen), ("_float_to_half_twin", narrow)):
        source = ALL_HALVES[::7] if twin is widen else awkward_floats()[::31]
        convert = getattr(half, name)
        got = np.array([convert(value) for value in source])
        want = expected_floats(source) if twin is widen else expected_halves(source)
        np.testing.assert_array_equal(got.view(want.dtype), want)


def test_a_value_is_one_and_no_more():
    halves = np.zeros(3, np.uint16)
    narrow_value(halves[1:], np.full(3, 1.5, np.float32))
    assert halves.view(np.float16).tolist() == [0, 1.5, 0]


@pytest.mark.parametrize("narrower", [narrow_line, narrow_line_nontemporal])
def test_a_line_is_32_values_and_no_more(narrower):
    source = np.random.default_rng(1).standard_normal(65, dtype=np.float32)[1:]
    whole = np.zeros(160, np.uint16)
    start = -whole.ctypes.data % 64 // 2
    line = whole[start : start + 96]
    narrower(line[32:], source)
    np.testing.assert_array_equal(line[32:64], source[:32].astype(np.float16).view(np.uint16))
    assert not line[:32].any()
    assert not line[64:].any()


@compiled
@x86
@pytest.mark.skipif(not half.has_instruction(), reason="this processor has no F16C")
def test_loops_hold_the_vector_instruction():
    halves, floats = np.zeros(64, np.uint16), np.zeros(64, np.float32)
    assert re.search(r"\bvcvtph2ps\b.*%[yz]mm", assembly(widen, floats, halves))
    assert re.search(r"\bvcvtps2ph\b.*%[yz]mm", assembly(narrow, halves, floats))


@pytest.mark.parametrize(
    ("triple", "features", "widen_instruction", "narrow_instruction"),
    [
        ("x86_64-unknown-linux-gnu", "+f16c", r"vcvtph2ps.*%ymm", r"vcvtps2ph.*%ymm"),
        ("aarch64-unknown-linux-gnu", "", r"fcvtl2?\s", r"fcvtn2?\s"),
        ("arm64-apple-darwin", "", r"fcvtl2?(\.4s)?\s", r"fcvtn2?(\.4h)?\s"),
    ],
)
def test_other_machines_get_their_own_instructions(
    triple, features, widen_instruction, narrow_instruction
):
    halves = ir.VectorType(ir.IntType(16), half.LINE_VALUES)
    floats = ir.VectorType(ir.FloatType(), half.LINE_VALUES)

    def body(builder, bits, widened, values, narrowed):
        builder.store(half._extend(builder, builder.load(bits)), widened)
        builder.store(half._truncate(builder, builder.load(values)), narrowed)

    text = compile_for(triple, features, [halves, floats, floats, halves], body)
    assert re.search(widen_instruction, text)
    assert re.search(narrow_instruction, text)
    assert not re.search(r"hf|h2f|f2h", text), "calls a function that Numba cannot link"


@compiled
def test_a_processor_without_the_instruction_converts_all_the_same():
    """Compiles for the plainest x86-64, whose linker would not find what LLVM calls."""
    if os.environ.get("NUMBA_CPU_FEATURES") == "" or platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("nothing plainer to compile for")
    environment = os.environ | {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}
    files = [__file__, str(Path(__file__).with_name("test_rounding.py"))]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
