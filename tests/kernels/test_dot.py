"""Dot products of bytes: three forms that agree bit for bit, and what each is compiled to."""

import platform
import re

import numpy as np
import pytest
from llvmlite import binding, ir
from numba import config, njit
from numba.extending import intrinsic

from kernels import dot, vector_memory, vectors

compiled = pytest.mark.skipif(
    config.DISABLE_JIT, reason="NUMBA_DISABLE_JIT is set: nothing is compiled, twins run instead"
)

# What each product reads behind its activations, and the weights' range once unpacked.
PRODUCTS = {
    "nibbles": (dot.emit_nibbles, dot.NIBBLE_BYTES, dot.nibble_rows),
    "bytes": (dot.emit_bytes, dot.BYTE_BYTES, lambda words: dot.rows_of(words.view(np.int8))),
    "unsigned": (dot.emit_unsigned_bytes, dot.BYTE_BYTES, dot.rows_of),
}


@njit
def chosen_nibbles(words, values, out):
    sums = dot.dot_nibbles(words.ctypes.data, values.ctypes.data)
    vector_memory.store(out.ctypes.data, vectors.to_float(sums))


@njit
def chosen_bytes(words, values, out):
    sums = dot.dot_bytes(words.ctypes.data, values.ctypes.data)
    vector_memory.store(out.ctypes.data, vectors.to_float(sums))


@njit
def chosen_unsigned(words, values, out):
    sums = dot.dot_unsigned_bytes(words.ctypes.data, values.ctypes.data)
    vector_memory.store(out.ctypes.data, vectors.to_float(sums))


@njit
def chosen_six_bits(words, high, values, half, out):
    sums = dot.dot_six_bits(words.ctypes.data, high.ctypes.data, values.ctypes.data, half)
    vector_memory.store(out.ctypes.data, vectors.to_float(sums))


CHOSEN = {"nibbles": chosen_nibbles, "bytes": chosen_bytes, "unsigned": chosen_unsigned}


def operands(name, seed):
    """Random weights and activations; seeds 0 and 1 are extremes, where int16 might overflow."""
    rng = np.random.default_rng(seed)
    n_bytes = PRODUCTS[name][1]
    words = rng.integers(0, 64 if name == "unsigned" else 256, n_bytes, dtype=np.uint8)
    values = rng.integers(-127, 128, 32, dtype=np.int8)
    if seed < 2:
        words[:] = {"nibbles": 255, "bytes": 128, "unsigned": 63}[name]
        values[:] = 127 if seed else -127
    return words, values


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", PRODUCTS)
def test_eight_rows_are_summed(name, seed):
    words, values = operands(name, seed)
    out = np.zeros(8, np.float32)
    CHOSEN[name](words, values, out)
    np.testing.assert_array_equal(out, PRODUCTS[name][2](words) @ values.astype(np.int32))


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_halves_of_six_bit_weights_are_summed(seed, half):
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 256, dot.NIBBLE_BYTES, dtype=np.uint8)
    high = rng.integers(0, 256, dot.HIGH_BYTES, dtype=np.uint8)
    values = rng.integers(-127, 128, 32, dtype=np.int8)
    if seed < 2:
        words[:], high[:], values[:] = 0, 0, 127 if seed else -127  # all weights -32
    out = np.zeros(8, np.float32)
    chosen_six_bits(words, high, values, half, out)
    part = slice(16 * half, 16 * half + 16)
    expected = dot.six_bit_rows(words, high)[:, part] @ values[part].astype(np.int32)
    np.testing.assert_array_equal(out, expected)


def test_a_hand_worked_block():
    words, values = np.zeros(dot.NIBBLE_BYTES, np.uint8), np.zeros(32, np.int8)
    words[4 * 3] = 0x52  # row 3: weight 0 is 2, weight 16 is 5
    values[[0, 16]] = 10, -100
    out = np.zeros(8, np.float32)
    chosen_nibbles(words, values, out)
    np.testing.assert_array_equal(out, [0, 0, 0, 2 * 10 - 5 * 100, 0, 0, 0, 0])


def in_form(emit, form):
    """Return a compiled product that is in one form, whatever this processor would choose."""
    if emit is dot.emit_six_bits:

        def typing(typing_context, words, high, values, half):
            return dot.in_form(emit, form)

        product = intrinsic(typing)

        @njit
        def run(words, high, values, half, out):
            place = words.ctypes.data, high.ctypes.data, values.ctypes.data
            sums = product(place[0], place[1], place[2], half)
            vector_memory.store(out.ctypes.data, vectors.to_float(sums))

        return run

    def typing_two(typing_context, words, values):
        return dot.in_form(emit, form)

    product_of_two = intrinsic(typing_two)

    @njit
    def run_two(words, values, out):
        sums = product_of_two(words.ctypes.data, values.ctypes.data)
        vector_memory.store(out.ctypes.data, vectors.to_float(sums))

    return run_two


def runnable_forms():
    """Return the forms that this processor can execute."""
    return dot.FORMS[dot.FORMS.index(dot.chosen_form()) :]


@compiled
@pytest.mark.parametrize("form", dot.FORMS)
def test_every_form_gives_the_same_whole_numbers(form):
    if form not in runnable_forms():
        assert form in ("vnni", "avx2")  # compiled for its own processor below
        return
    for name, (emit, _, rows) in PRODUCTS.items():
        run = in_form(emit, form)
        for seed in range(4):
            words, values = operands(name, seed)
            out = np.zeros(8, np.float32)
            run(words, values, out)
            np.testing.assert_array_equal(out, rows(words) @ values.astype(np.int32))
    run = in_form(dot.emit_six_bits, form)
    rng = np.random.default_rng(1)
    words, high, values = (
        rng.integers(0, 256, n, dtype=np.uint8) for n in (dot.NIBBLE_BYTES, dot.HIGH_BYTES, 32)
    )
    values = np.maximum(values.view(np.int8), -127)
    for half in (0, 1):
        run(words, high, values, half, out)
        part = slice(16 * half, 16 * half + 16)
        expected = dot.six_bit_rows(words, high)[:, part] @ values[part].astype(np.int32)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("form", "triple", "features", "instruction"),
    [
        ("vnni", "x86_64-unknown-linux-gnu", "+avx2,+avx512f,+avx512vl,+avx512vnni", r"vpdpbusd"),
        ("vnni", "x86_64-apple-darwin", "+avx2,+avxvnni", r"vpdpbusd"),
        ("avx2", "x86_64-unknown-linux-gnu", "+avx2", r"vpmaddubsw[\s\S]*vpmaddwd"),
        ("portable", "x86_64-unknown-linux-gnu", "", r"\bpmullw|pmaddwd"),
        ("portable", "aarch64-unknown-linux-gnu", "", r"\bsmull|\bmul\b"),
        ("portable", "arm64-apple-darwin", "", r"\bsmull|\bmul\b"),
    ],
)
@pytest.mark.parametrize("emit", [dot.emit_nibbles, dot.emit_bytes, dot.emit_six_bits])
def test_other_processors_get_their_own_instructions(emit, form, triple, features, instruction):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = ir.Module()
    module.triple = triple
    n_addresses = 4 if emit is dot.emit_six_bits else 2
    kind = ir.FunctionType(ir.VectorType(ir.IntType(32), 8), [ir.IntType(64)] * n_addresses)
    function = ir.Function(module, kind, "product")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(emit(builder, form, *function.args))
    target = binding.Target.from_triple(triple)
    machine = target.create_target_machine(features=features, opt=2)
    assert re.search(instruction, machine.emit_assembly(binding.parse_assembly(str(module))))


@pytest.mark.parametrize(
    ("features", "machine", "form"),
    [
        ("+avx2,+avx512vl,+avx512vnni", "x86_64", "vnni"),
        ("+avx2,+avxvnni", "AMD64", "vnni"),
        ("+avx2,-avx512vnni", "x86_64", "avx2"),
        ("+avx2,+avx512vnni,-avx512vl", "x86_64", "avx2"),
        ("+sse4.2,-avx2", "x86_64", "portable"),
        ("+neon,+dotprod", "arm64", "portable"),
    ],
)
def test_the_form_follows_the_processor(features, machine, form):
    assert dot.form_of(features, machine) == form


@compiled
def test_numbas_own_setting_decides(monkeypatch):
    monkeypatch.setattr(config, "CPU_FEATURES", "+sse2")
    assert dot.chosen_form() == "portable"
    monkeypatch.setattr(config, "CPU_FEATURES", "+avx2")
    expected = "avx2" if platform.machine().lower() in ("x86_64", "amd64") else "portable"
    assert dot.chosen_form() == expected
