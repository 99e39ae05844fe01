"""The intrinsics: what they move, what they compile to, and their interpreted twins."""

import re

import numpy as np
import pytest
from llvmlite import ir
from numba import njit

from kernels import copy, read, simd
from tests.kernels.machine_code import assembly, compile_for, compiled, x86


@njit
def copy_line(destination, source):
    simd.copy_line(destination.ctypes.data, source.ctypes.data)


@njit
def copy_byte(destination, source):
    simd.copy_byte(destination.ctypes.data, source.ctypes.data)


@njit
def copy_line_nontemporal(destination, source):
    simd.copy_line_nontemporal(destination.ctypes.data, source.ctypes.data)
    simd.store_fence()


@njit
def copy_four_lines(destination, source):
    simd.copy_four_lines_nontemporal(destination.ctypes.data, source.ctypes.data)
    simd.store_fence()


@njit
def prefetch_and_add(values):
    total = 0
    for index in range(values.size):
        # Far beyond the end: a prefetch of memory that is not ours must not fault.
        simd.prefetch(values.ctypes.data + (index << 20))
        total += values[index]
    return total


@njit
def xor_chunk(source):
    return simd.xor_chunk(source.ctypes.data)


def aligned(n_bytes: int) -> np.ndarray:
    whole = np.zeros(n_bytes + 64, np.uint8)
    start = -whole.ctypes.data % 64
    return whole[start : start + n_bytes]


@pytest.mark.parametrize("source_offset", [0, 1, 7, 63])
@pytest.mark.parametrize("copier", [copy_line, copy_line_nontemporal])
def test_a_line_is_64_bytes_and_no_more(copier, source_offset):
    source = np.arange(128, dtype=np.uint8)[source_offset:]
    destination = aligned(192)
    copier(destination[64:], source)
    np.testing.assert_array_equal(destination[64:128], source[:64])
    assert not destination[:64].any()
    assert not destination[128:].any()


def test_a_byte_is_one_and_no_more():
    destination = np.zeros(3, np.uint8)
    copy_byte(destination[1:], np.full(3, 7, np.uint8))
    assert destination.tolist() == [0, 7, 0]


def test_four_lines_lie_a_page_apart():
    source = np.random.default_rng(0).integers(1, 256, 4 * 4096, dtype=np.uint8)
    destination = aligned(source.size)
    copy_four_lines(destination, source)
    pages, expected = destination.reshape(4, 4096), source.reshape(4, 4096)
    np.testing.assert_array_equal(pages[:, :64], expected[:, :64])
    assert not pages[:, 64:].any()


def test_a_chunk_is_folded_whole():
    words = np.zeros(129, np.uint64)
    words[[0, 5, 127]] = 0b001, 0b010, 0b100
    words[128] = 0b1000  # beyond the chunk
    assert xor_chunk(words) == 0b111


def test_prefetch_changes_nothing():
    assert prefetch_and_add(np.arange(10)) == 45


@compiled
@x86
def test_nontemporal_copy_stores_past_the_cache_and_fences():
    arrays = copy.make_inputs(np.random.default_rng(0), 256)
    for kernel in (copy.nontemporal, copy.nontemporal_pages):
        text = assembly(kernel, *arrays)
        assert re.search(r"\bv?movnt(ps|pd|dq)\b", text)
        assert re.search(r"\bsfence\b", text)


@compiled
@x86
def test_ordinary_copy_stores_through_the_cache():
    text = assembly(copy.vector, *copy.make_inputs(np.random.default_rng(0), 256))
    assert not re.search(r"\bv?movnt", text)
    assert re.search(r"\bv?movu", text)


@compiled
@x86
def test_reader_keeps_vectors_and_prefetch_stays_in():
    assert re.search(r"\bv?pxor|xorps", assembly(read.vector, *read.make_inputs(_rng(), 256)))
    assert re.search(r"\bprefetcht0\b", assembly(prefetch_and_add, np.arange(4)))


def _rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("triple", "store", "fence"),
    [
        ("x86_64-unknown-linux-gnu", r"\bmovnt(ps|dq|pd)\b", r"\bsfence\b"),
        ("x86_64-apple-darwin", r"\bmovnt(ps|dq|pd)\b", r"\bsfence\b"),
        ("aarch64-unknown-linux-gnu", r"\bstnp\b", r"\bdmb\b"),
        ("arm64-apple-darwin", r"\bstnp\b", r"\bdmb\b"),
    ],
)
def test_other_machines_get_their_own_instructions(triple, store, fence):
    """Each triple's plainest processor has neither AVX nor SVE: LLVM splits the 64-byte vectors."""
    byte = ir.IntType(8)

    def body(builder, destination, source):
        to, start = (builder.ptrtoint(pointer, ir.IntType(64)) for pointer in (destination, source))
        simd._store_nontemporal(builder, simd._load(builder, start), to)
        simd._fence(builder)

    text = compile_for(triple, "", [byte, byte], body)
    assert re.search(store, text)
    assert re.search(fence, text)


@compiled
@pytest.mark.timeout(450)
def test_kernels_also_run_interpreted(interpreted):
    code, said = interpreted.ended()
    assert code == 0, said
