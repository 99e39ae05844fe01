"""Gathers bring back what stores put away, and refuse what lies outside."""

import re

import numpy as np
import pytest

from kernels import block_gather, block_store
from kernels.block_gather import DEQUANTISE, SAME, WIDEN, choose
from kernels.half import has_instruction
from tests.kernels.machine_code import assembly, compiled, x86

BLOCK_TOKENS, HEADS, HEAD_DIM = 8, 2, 64
VALUE_BYTES = {"float32": 4, "float16": 2, "int8": 1}


def stored_tokens(stored, n_tokens):
    """Return (memory, slots, places, K, V) after storing random tokens as one dtype."""
    rng = np.random.default_rng(n_tokens)
    tokens = rng.standard_normal((2, n_tokens, 1, HEADS, HEAD_DIM), dtype=np.float32)
    side = BLOCK_TOKENS * HEADS * HEAD_DIM * VALUE_BYTES[stored]
    scales = BLOCK_TOKENS * HEADS * 2
    places = np.array([[0, side, 2 * side, 2 * side + scales]])
    n_blocks = -(-n_tokens // BLOCK_TOKENS)
    memory = np.zeros((n_blocks + 1, 2 * (side + scales)), np.uint8)
    slots = rng.permutation(n_blocks + 1)[:n_blocks]
    numbers = np.arange(n_tokens)
    store = block_store.choose("float32", stored, past_cache=True)
    rows = numbers % BLOCK_TOKENS
    store(memory, slots[numbers // BLOCK_TOKENS], rows, places, tokens[0], tokens[1])
    return memory, slots, places[0], tokens[0, :, 0], tokens[1, :, 0]


@pytest.mark.parametrize("n_tokens", [1, 7, 8, 9, 29])
@pytest.mark.parametrize(
    ("stored", "tolerance"), [("float32", 0), ("float16", 1e-3), ("int8", 0.02)]
)
def test_what_was_stored_comes_back(stored, tolerance, n_tokens):
    memory, slots, places, k, v = stored_tokens(stored, n_tokens)
    k_out, v_out = np.zeros((2, *k.shape), np.float32)
    choose(stored, "float32")(k_out, v_out, memory, slots, places, BLOCK_TOKENS)
    np.testing.assert_allclose(k_out, k, atol=tolerance)
    np.testing.assert_allclose(v_out, v, atol=tolerance)


def test_float16_comes_back_as_it_is():
    memory, slots, places, k, v = stored_tokens("float16", 9)
    k_out, v_out = np.zeros((2, *k.shape), np.float16)
    choose("float16", "float16")(k_out, v_out, memory, slots, places, BLOCK_TOKENS)
    np.testing.assert_array_equal(k_out, k.astype(np.float16))
    np.testing.assert_array_equal(v_out, v.astype(np.float16))


def test_what_there_is_no_gather_for_is_named():
    with pytest.raises(ValueError, match="no gather goes from int8 to float16"):
        choose("int8", "float16")


@pytest.mark.parametrize("kernel", [SAME, WIDEN, DEQUANTISE])
def test_what_lies_outside_is_refused(kernel):
    k_out, v_out, memory, slots, places, block_tokens = kernel.make_inputs(
        np.random.default_rng(0), 9
    )
    run = kernel.variants[list(kernel.variants)[1]]
    for wrong in (np.array([0, len(memory)]), np.array([-1, 0])):
        with pytest.raises(ValueError, match="not all among the memory's 4"):
            run(k_out, v_out, memory, wrong, places, block_tokens)
    for column, value in ((0, -4), (1, 1 << 20)):
        wrong = places.copy()
        wrong[column] = value
        with pytest.raises(ValueError, match="do not lie within blocks"):
            run(k_out, v_out, memory, slots, wrong, block_tokens)
    with pytest.raises(ValueError, match=r"slots is int64\[1\]; it must be int64\[2\]"):
        run(k_out, v_out, memory, slots[:1], places, block_tokens)
    with pytest.raises(ValueError, match="k_out is float64"):
        run(k_out.astype(float), v_out, memory, slots, places, block_tokens)
    with pytest.raises(ValueError, match="block_tokens=0"):
        run(k_out, v_out, memory, slots, places, 0)
    if kernel is not DEQUANTISE:
        with pytest.raises(ValueError, match="must be multiples of"):
            run(k_out, v_out, memory, slots, places - [1, 0, 0, 0], block_tokens)


def test_scales_outside_are_refused():
    inputs = list(DEQUANTISE.make_inputs(np.random.default_rng(0), 9))
    inputs[4] = inputs[4] + [0, 0, 0, 1 << 20]
    with pytest.raises(ValueError, match="do not lie within blocks"):
        DEQUANTISE.variants["njit"](*inputs)


@compiled
@x86
@pytest.mark.skipif(not has_instruction(), reason="this processor has no F16C")
def test_widening_is_done_in_vectors():
    text = assembly(block_gather.half_njit, *WIDEN.make_inputs(np.random.default_rng(0), 9))
    assert re.search(r"\bvcvtph2ps\b.*%[yz]mm", text)
    text = assembly(block_gather.int8_njit, *DEQUANTISE.make_inputs(np.random.default_rng(0), 9))
    assert re.search(r"\bvcvtdq2ps\b.*%[yz]mm", text)
