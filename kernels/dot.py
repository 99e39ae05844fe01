"""Multiply 32 quantised weights of each of eight rows with 32 int8 activations, in whole numbers.

Follows: llama.cpp's interleaved rows: a vector holds four neighbouring weights of all eight rows,
so that every lane sums its own row and nothing is added across lanes.
Leaves out: scales (the matvec files) and how weights get into this order (interleave.py).

Three forms give the same whole numbers: ``vnni`` (one instruction a vector), ``avx2`` (products
summed by pairs in int16, which the ranges below cannot overflow) and ``portable`` (any target).
The form is chosen for the processor that Numba compiles for. As with simd.py, after an edit here
delete kernels/__pycache__.

Activations lie in -127..127, never -128: `vpsignb` and int16 sums rely on it.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import codegen

from kernels.simd import _with_twin
from kernels.vectors import _INTS, LANES, Int8, _call, _load, _splat

BLOCK = 32  # weights of a row that share a scale, and activations that do
WORD = 4  # neighbouring weights of one row in a vector
VECTOR_BYTES = WORD * LANES
NIBBLE_BYTES = BLOCK // 2 * LANES  # eight rows' block at 4 bits
BYTE_BYTES = BLOCK * LANES
HIGH_BYTES = BLOCK // 4 * LANES  # the upper two bits of 6-bit weights
FORMS = ("vnni", "avx2", "portable")

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES = ir.VectorType(_I8, VECTOR_BYTES)
_SHORTS = ir.VectorType(_I16, VECTOR_BYTES // 2)
_X86 = ("x86_64", "amd64")

Pair = tuple[ir.Value, ir.Value]  # weights and activations, 32 bytes each
Emit = Callable[..., ir.Value]  # (builder, form, *addresses) -> int32[8]


def form_of(features: str, machine: str) -> str:
    """Return the fastest form for a processor.

    Parameters
    ----------
    features : str   LLVM's list, such as ``"+avx2,-avx512vnni"``
    machine : str    such as ``"x86_64"`` or ``"aarch64"``
    """
    has = set(features.split(","))
    if machine.lower() not in _X86 or "+avx2" not in has:
        return "portable"
    wide = {"+avx512vnni", "+avx512vl"} <= has
    return "vnni" if wide or "+avxvnni" in has else "avx2"


def chosen_form() -> str:
    """Return the form for the processor that Numba compiles for."""
    asked = config.CPU_FEATURES
    features = codegen.get_host_cpu_features() if asked is None else asked
    return form_of(features, platform.machine())


def _at(builder: ir.IRBuilder, address: ir.Value, offset: int) -> ir.Value:
    return builder.add(address, ir.Constant(_I64, offset))


def _all(kind: ir.VectorType, value: int) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count)


def _activations(builder: ir.IRBuilder, values: ir.Value, word: int) -> ir.Value:
    """Return four activations, repeated for each of the eight rows."""
    four = _load(builder, _at(builder, values, word * WORD), _I32)
    return builder.bitcast(_splat(builder, four, LANES), _BYTES)


def _shifted(builder: ir.IRBuilder, packed: ir.Value, bits: int) -> ir.Value:
    """Shift every byte right; bits that come over from the neighbour are the caller's to mask."""
    shorts = builder.bitcast(packed, _SHORTS)
    return builder.bitcast(builder.lshr(shorts, _all(_SHORTS, bits)), _BYTES)


def _nibbles(builder: ir.IRBuilder, words: ir.Value) -> list[ir.Value]:
    """Return a block's 4-bit weights: the low halves hold weights 0-15, the high ones 16-31."""
    places = range(0, NIBBLE_BYTES, VECTOR_BYTES)
    packed = [_load(builder, _at(builder, words, place), _BYTES) for place in places]
    low = [builder.and_(vector, _all(_BYTES, 15)) for vector in packed]
    high = [builder.and_(_shifted(builder, vector, 4), _all(_BYTES, 15)) for vector in packed]
    return low + high


def _sum_unsigned(builder: ir.IRBuilder, form: str, pairs: Iterable[Pair], roomy: bool) -> ir.Value:
    """Return the eight rows' sums of uint8 weights times int8 activations.

    ``roomy`` says that all products of one int16 lane together stay below 2**15.
    """
    total: Any = None
    if form == "vnni":
        total = _all(_INTS, 0)
        for weights, values in pairs:
            name = "llvm.x86.avx512.vpdpbusd.256"
            total = _call(builder, name, _INTS, [total, weights, values])
        return total
    for weights, values in pairs:
        products = _call(builder, "llvm.x86.avx2.pmadd.ub.sw", _SHORTS, [weights, values])
        if not roomy:
            products = _widened(builder, products)
        total = products if total is None else builder.add(total, products)
    return _widened(builder, total) if roomy else total


def _widened(builder: ir.IRBuilder, shorts: ir.Value) -> ir.Value:
    """Add int16 by pairs into int32."""
    return _call(builder, "llvm.x86.avx2.pmadd.wd", _INTS, [shorts, _all(_SHORTS, 1)])


def _as_unsigned(builder: ir.IRBuilder, weights: ir.Value, values: ir.Value) -> Pair:
    """Move the weights' signs to the activations, as the first factor must be unsigned."""
    not_poison = ir.Constant(ir.IntType(1), 0)  # |-128| is 128, as an unsigned byte
    size = _call(builder, f"llvm.abs.v{VECTOR_BYTES}i8", _BYTES, [weights, not_poison])
    return size, _call(builder, "llvm.x86.avx2.psign.b", _BYTES, [values, weights])


def _sum_portable(
    builder: ir.IRBuilder, pairs: Iterable[Pair], signed: bool, roomy: bool
) -> ir.Value:
    """Return the sums with LLVM's own widening and additions."""
    wide = ir.VectorType(_I16, VECTOR_BYTES)
    extend = builder.sext if signed else builder.zext
    total: Any = None
    for weights, values in pairs:
        products = builder.mul(extend(weights, wide), builder.sext(values, wide))
        if not roomy:
            products = _columns(builder, products)
        total = products if total is None else builder.add(total, products)
    return _columns(builder, total) if roomy else total


def _columns(builder: ir.IRBuilder, products: ir.Value) -> ir.Value:
    """Add the four neighbouring int16 of each row into int32."""
    total: Any = None
    for start in range(WORD):
        lanes = list(range(start, VECTOR_BYTES, WORD))
        indices = ir.Constant(ir.VectorType(_I32, LANES), lanes)
        column = builder.sext(builder.shuffle_vector(products, products, indices), _INTS)
        total = column if total is None else builder.add(total, column)
    return total


def _sums(
    builder: ir.IRBuilder, form: str, pairs: list[Pair], signed: bool, roomy: bool
) -> ir.Value:
    """Return the eight rows' sums in one of the `FORMS`."""
    if form == "portable":
        return _sum_portable(builder, pairs, signed, roomy)
    if signed:
        pairs = [_as_unsigned(builder, *pair) for pair in pairs]
    return _sum_unsigned(builder, form, pairs, roomy)


def emit_nibbles(builder: ir.IRBuilder, form: str, words: ir.Value, values: ir.Value) -> ir.Value:
    """Write the code of `dot_nibbles` in one of the `FORMS`."""
    weights = _nibbles(builder, words)
    pairs = [(vector, _activations(builder, values, word)) for word, vector in enumerate(weights)]
    return _sums(builder, form, pairs, signed=False, roomy=True)  # 8 * 2 * 15 * 127 = 30,480


def _emit_bytes(signed: bool) -> Emit:
    def emit(builder: ir.IRBuilder, form: str, words: ir.Value, values: ir.Value) -> ir.Value:
        pairs = []
        for word in range(BLOCK // WORD):
            weights = _load(builder, _at(builder, words, word * VECTOR_BYTES), _BYTES)
            pairs.append((weights, _activations(builder, values, word)))
        return _sums(builder, form, pairs, signed, roomy=False)

    return emit


emit_bytes = _emit_bytes(signed=True)
emit_unsigned_bytes = _emit_bytes(signed=False)


def emit_six_bits(
    builder: ir.IRBuilder,
    form: str,
    words: ir.Value,
    high: ir.Value,
    values: ir.Value,
    half: ir.Value,
) -> ir.Value:
    """Write the code of `dot_six_bits` in one of the `FORMS`."""
    quarter = builder.mul(half, ir.Constant(_I64, BLOCK // 2))
    values = builder.add(values, quarter)
    upper = _load(builder, builder.add(high, builder.mul(quarter, ir.Constant(_I64, 2))), _BYTES)
    nibble_bits = _splat(
        builder, builder.trunc(builder.mul(half, ir.Constant(_I64, 4)), _I16), _SHORTS.count
    )
    pairs = []
    for word in range(BLOCK // 2 // WORD):
        packed = _load(builder, _at(builder, words, word * VECTOR_BYTES), _BYTES)
        shifted = builder.lshr(builder.bitcast(packed, _SHORTS), nibble_bits)
        low = builder.and_(builder.bitcast(shifted, _BYTES), _all(_BYTES, 15))
        two = builder.and_(_shifted(builder, upper, 2 * word), _all(_BYTES, 3))
        both = builder.or_(low, builder.shl(two, _all(_BYTES, 4)))
        weights = builder.sub(both, _all(_BYTES, 32))
        pairs.append((weights, _activations(builder, values, word)))
    return _sums(builder, form, pairs, signed=True, roomy=True)  # 4 * 2 * 32 * 127 = 32,512


def in_form(emit: Emit, form: str | None = None) -> tuple[Any, Callable[..., ir.Value]]:
    """Return the signature and code of an intrinsic in one form, by default the chosen one."""
    n_addresses = emit.__code__.co_argcount - 2  # those behind the builder and the form

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return emit(builder, form or chosen_form(), *arguments)

    return Int8(*[types.intp] * n_addresses), generate


def _read(address: int, n_bytes: int, dtype: type[np.generic]) -> np.ndarray:
    return np.frombuffer((ctypes.c_uint8 * n_bytes).from_address(int(address)), dtype)


def rows_of(words: np.ndarray) -> np.ndarray:
    """Return any[..., n * 32], four neighbours of eight rows each, as int32[..., 8, n * 4]."""
    *outer, n_bytes = words.shape
    rows = np.moveaxis(words.reshape(*outer, n_bytes // VECTOR_BYTES, LANES, WORD), -2, -3)
    return rows.reshape(*outer, LANES, n_bytes // LANES).astype(np.int32)


def nibble_rows(words: np.ndarray) -> np.ndarray:
    """Return uint8[..., 128] as `dot_nibbles` reads it as int32[..., 8, 32], each 0..15."""
    packed = rows_of(words)
    return np.concatenate((packed & 15, packed >> 4), axis=-1)


def six_bit_rows(words: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return uint8[..., 128] and [..., 64] as `dot_six_bits` reads them as int32[..., 8, 32]."""
    upper = rows_of(high)
    halves = [upper[..., :WORD], upper[..., WORD:]]
    two = [half >> 2 * word & 3 for half in halves for word in range(BLOCK // 2 // WORD)]
    return (nibble_rows(words) | np.concatenate(two, axis=-1) << 4) - 32


def _products(weights: np.ndarray, values: int) -> np.ndarray:
    activations = _read(values, weights.shape[1], np.int8)
    return (weights @ activations.astype(np.int32)).astype(np.int32)


def _nibbles_twin(words: int, values: int) -> np.ndarray:
    return _products(nibble_rows(_read(words, NIBBLE_BYTES, np.uint8)), values)


def _bytes_twin(words: int, values: int) -> np.ndarray:
    return _products(rows_of(_read(words, BYTE_BYTES, np.int8)), values)


def _unsigned_bytes_twin(words: int, values: int) -> np.ndarray:
    return _products(rows_of(_read(words, BYTE_BYTES, np.uint8)), values)


def _six_bits_twin(words: int, high: int, values: int, half: int) -> np.ndarray:
    low, upper = _read(words, NIBBLE_BYTES, np.uint8), _read(high, HIGH_BYTES, np.uint8)
    start = half * BLOCK // 2
    return _products(six_bit_rows(low, upper)[:, start : start + BLOCK // 2], values + start)


@_with_twin(_nibbles_twin)
def dot_nibbles(typing_context, words, values):
    """Return eight rows' sums of 32 weights of 4 bits (0..15) times 32 int8.

    ``words`` is the address of 128 bytes: vector v holds weights 4v.. of each row in its low
    halves and 16 + 4v.. in its high ones. ``values`` is the address of the activations.
    """
    return in_form(emit_nibbles)


@_with_twin(_bytes_twin)
def dot_bytes(typing_context, words, values):
    """Return eight rows' sums of 32 int8 weights times 32 int8; 256 bytes, vector v from 4v on."""
    return in_form(emit_bytes)


@_with_twin(_unsigned_bytes_twin)
def dot_unsigned_bytes(typing_context, words, values):
    """Return eight rows' sums of 32 weights from 0 to 63 times 32 int8; in bytes as `dot_bytes`."""
    return in_form(emit_unsigned_bytes)


@_with_twin(_six_bits_twin)
def dot_six_bits(typing_context, words, high, values, half):
    """Return eight rows' sums of one half (0 or 1) of 32 weights from -32 to 31 times its int8.

    ``words`` holds the low 4 bits as `dot_nibbles` has them; at ``high`` one vector a half holds
    the upper 2 bits of word v at bit 2v. ``values`` is the address of all 32 activations.
    """
    return in_form(emit_six_bits)
