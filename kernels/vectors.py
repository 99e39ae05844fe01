"""Let Numba kernels compute with eight float32 or int32 at a time, as values with operators.

Follows: LLVM's generic vectors, which every target splits to, or fits into, the registers it has.
Leaves out: dot products of bytes (dot.py), and anything that depends on the order of a sum: every
operation here is done lane by lane, and the two reductions have one fixed order.

A `Float8` holds float32[8], an `Int8` int32[8] (eight numbers, not eight bits). Addresses are plain
integers; nothing here checks them. Under ``NUMBA_DISABLE_JIT=1`` a vector is a NumPy array of 8.
As with simd.py, after an edit here delete kernels/__pycache__.
"""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from kernels.half import (
    _extend,
    _float_to_half_twin,
    _half_to_float_twin,
    _truncate,
    has_instruction,
)
from kernels.simd import _pointer, _store_nontemporal, _with_twin

LANES = 8

_I8, _I16, _I32 = ir.IntType(8), ir.IntType(16), ir.IntType(32)
_F32 = ir.FloatType()
_FLOATS = ir.VectorType(_F32, LANES)
_INTS = ir.VectorType(_I32, LANES)
# Floats are rounded to the nearest integer by adding and taking away 1.5 * 2**23, where the last
# bit of a float32 is worth 1.
_ROUNDER = 12_582_912.0


class _VectorType(types.Type):
    """A Numba type whose values are one LLVM vector."""

    def __init__(self, name: str, llvm: ir.VectorType) -> None:
        self.llvm = llvm
        super().__init__(name)


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: _VectorType) -> None:
        super().__init__(manager, numba_type, numba_type.llvm)


Float8 = _VectorType("float32x8", _FLOATS)
Int8 = _VectorType("int32x8", _INTS)


def _load(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    return builder.load(_pointer(builder, address, kind), align=1)


def _splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """Return a vector with one value in every lane."""
    kind = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_I32, lanes), None))


def _call(
    builder: ir.IRBuilder, name: str, result: ir.Type, values: Sequence[ir.Value]
) -> ir.Value:
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)


def _memory(address: int, dtype: type[np.generic]) -> np.ndarray:
    """Return eight values at an address, as the twins read and write them."""
    n_bytes = LANES * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * n_bytes).from_address(int(address)), dtype)


@_with_twin(lambda address: _memory(address, np.float32).copy())
def load(typing_context, address):
    """Return the eight float32 at an address, any alignment."""

    def generate(context, builder, signature, arguments):
        return _load(builder, arguments[0], _FLOATS)

    return Float8(types.intp), generate


def _store_twin(address: int, values: np.ndarray) -> None:
    _memory(address, np.float32)[:] = values


@_with_twin(_store_twin)
def store(typing_context, address, values):
    """Write eight float32 to an address, any alignment."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], _pointer(builder, arguments[0], _FLOATS), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, Float8), generate


def _load_halves_twin(address: int) -> np.ndarray:
    return _memory(address, np.float16).astype(np.float32)


@_with_twin(_load_halves_twin)
def load_halves(typing_context, address):
    """Return the eight float16 at an address as float32; exact."""

    def generate(context, builder, signature, arguments):
        bits = _load(builder, arguments[0], ir.VectorType(_I16, LANES))
        if has_instruction():
            return _extend(builder, bits)
        one = types.float32(types.uint16)
        values = ir.Constant(_FLOATS, ir.Undefined)
        for lane in (ir.Constant(_I32, number) for number in range(LANES)):
            bit = [builder.extract_element(bits, lane)]
            value = context.compile_internal(builder, _half_to_float_twin, one, bit)
            values = builder.insert_element(values, value, lane)
        return values

    return Float8(types.intp), generate


def _half_splat_twin(address: int) -> np.ndarray:
    bits = ctypes.c_uint16.from_address(int(address)).value
    return np.full(LANES, np.uint16(bits).view(np.float16), np.float32)


@_with_twin(_half_splat_twin)
def load_half_splat(typing_context, address):
    """Return the one float16 at an address as float32 in all eight lanes."""

    def generate(context, builder, signature, arguments):
        bits = _load(builder, arguments[0], _I16)
        if has_instruction():
            return _splat(builder, _extend(builder, bits), LANES)
        one = types.float32(types.uint16)
        value = context.compile_internal(builder, _half_to_float_twin, one, [bits])
        return _splat(builder, value, LANES)

    return Float8(types.intp), generate


@_with_twin(lambda address: _memory(address, np.int8).astype(np.float32))
def load_int8s(typing_context, address):
    """Return the eight int8 at an address as float32."""

    def generate(context, builder, signature, arguments):
        small = _load(builder, arguments[0], ir.VectorType(_I8, LANES))
        return builder.sitofp(builder.sext(small, _INTS), _FLOATS)

    return Float8(types.intp), generate


def _byte_pairs(first: bool, signed: bool) -> tuple[Any, Callable[..., ir.Value]]:
    """Return the code that takes one byte of each of eight pairs as float32."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        pairs = _load(builder, arguments[0], ir.VectorType(_I16, LANES))
        wide = builder.zext(pairs, _INTS)
        up, down = (ir.Constant(_INTS, [bits] * LANES) for bits in (24 if first else 16, 24))
        shift = builder.ashr if signed else builder.lshr
        return builder.sitofp(shift(builder.shl(wide, up), down), _FLOATS)

    return Float8(types.intp), generate


def _byte_pairs_twin(place: int, dtype: type[np.generic]) -> Callable[[int], np.ndarray]:
    return lambda address: _memory(address, np.uint16).view(dtype)[place::2].astype(np.float32)


@_with_twin(_byte_pairs_twin(0, np.uint8))
def load_first_uint8s(typing_context, address):
    """Return the first uint8 of each of the eight pairs at an address as float32."""
    return _byte_pairs(first=True, signed=False)


@_with_twin(_byte_pairs_twin(1, np.uint8))
def load_second_uint8s(typing_context, address):
    """Return the second uint8 of each of the eight pairs at an address as float32."""
    return _byte_pairs(first=False, signed=False)


@_with_twin(_byte_pairs_twin(0, np.int8))
def load_first_int8s(typing_context, address):
    """Return the first int8 of each of the eight pairs at an address as float32."""
    return _byte_pairs(first=True, signed=True)


@_with_twin(_byte_pairs_twin(1, np.int8))
def load_second_int8s(typing_context, address):
    """Return the second int8 of each of the eight pairs at an address as float32."""
    return _byte_pairs(first=False, signed=True)


def _store_halves_twin(address: int, values: np.ndarray) -> None:
    _memory(address, np.uint16)[:] = [int(_float_to_half_twin(value)) for value in values]


@_with_twin(_store_halves_twin)
def store_halves(typing_context, address, values):
    """Write eight float32 to an address as float16, to the nearest."""

    def generate(context, builder, signature, arguments):
        bits = _as_halves(context, builder, arguments[1])
        builder.store(bits, _pointer(builder, arguments[0], bits.type), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, Float8), generate


def _as_halves(context: Any, builder: ir.IRBuilder, values: ir.Value) -> ir.Value:
    """Return eight float32 as the bits of eight float16."""
    if has_instruction():
        return _truncate(builder, values)
    one = types.uint16(types.float32)
    bits = ir.Constant(ir.VectorType(_I16, LANES), ir.Undefined)
    for lane in (ir.Constant(_I32, number) for number in range(LANES)):
        value = [builder.extract_element(values, lane)]
        half = context.compile_internal(builder, _float_to_half_twin, one, value)
        bits = builder.insert_element(bits, half, lane)
    return bits


def _halves_line_twin(address: int, *vectors: np.ndarray) -> None:
    for number, values in enumerate(vectors):
        _store_halves_twin(address + 2 * LANES * number, values)


@_with_twin(_halves_line_twin)
def store_halves_nontemporal(typing_context, address, a, b, c, d):
    """Write four vectors as 32 float16 past the cache; the address must be a multiple of 64.

    As with `simd.copy_line_nontemporal`, end every run of them with `simd.store_fence`.
    """

    def generate(context, builder, signature, arguments):
        address, *vectors = arguments
        parts = [_as_halves(context, builder, values) for values in vectors]
        while len(parts) > 1:
            lanes = ir.VectorType(_I32, 2 * parts[0].type.count)
            order = ir.Constant(lanes, list(range(lanes.count)))
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [builder.shuffle_vector(one, other, order) for one, other in pairs]
        _store_nontemporal(builder, parts[0], address)
        return context.get_dummy_value()

    return types.void(types.intp, *[Float8] * 4), generate


def _nibbles(upper: bool) -> tuple[Any, Callable[..., ir.Value]]:
    """Return the code that takes half of each of eight bytes as float32."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        small = _load(builder, arguments[0], ir.VectorType(_I8, LANES))
        wide = builder.zext(small, _INTS)
        number = ir.Constant(_INTS, [4 if upper else 15] * LANES)
        half = builder.lshr(wide, number) if upper else builder.and_(wide, number)
        return builder.sitofp(half, _FLOATS)

    return Float8(types.intp), generate


@_with_twin(lambda address: (_memory(address, np.uint8) & 15).astype(np.float32))
def load_low_nibbles(typing_context, address):
    """Return the lower four bits of each of the eight bytes at an address as float32."""
    return _nibbles(upper=False)


@_with_twin(lambda address: (_memory(address, np.uint8) >> 4).astype(np.float32))
def load_high_nibbles(typing_context, address):
    """Return the upper four bits of each of the eight bytes at an address as float32."""
    return _nibbles(upper=True)


def _butterfly_twin(values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        for distance in (1, 2, 4):
            pairs = values.reshape(-1, 2, distance)
            first, second = pairs[:, 0], pairs[:, 1]
            values = np.stack([first + second, first - second], axis=1).reshape(LANES)
    return values


@_with_twin(_butterfly_twin)
def butterfly(typing_context, values):
    """Return sums and differences of lanes 1, then 2, then 4 apart: a Hadamard matrix of eight."""

    def generate(context, builder, signature, arguments):
        values = arguments[0]
        for distance in (1, 2, 4):
            others = ir.Constant(_INTS, [lane ^ distance for lane in range(LANES)])
            swapped = builder.shuffle_vector(values, values, others)
            sums, differences = builder.fadd(values, swapped), builder.fsub(swapped, values)
            picked = [lane + LANES * bool(lane & distance) for lane in range(LANES)]
            values = builder.shuffle_vector(sums, differences, ir.Constant(_INTS, picked))
        return values

    return Float8(Float8), generate


def _store_int8s_twin(address: int, values: np.ndarray) -> None:
    _memory(address, np.int8)[:] = values.astype(np.int8)


@_with_twin(_store_int8s_twin)
def store_int8s(typing_context, address, values):
    """Write eight int32 from -128 to 127 as int8 to an address."""

    def generate(context, builder, signature, arguments):
        kind = ir.VectorType(_I8, LANES)
        small = builder.trunc(arguments[1], kind)
        builder.store(small, _pointer(builder, arguments[0], kind), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, Int8), generate


@_with_twin(lambda value: np.full(LANES, value, np.float32))
def splat(typing_context, value):
    """Return a float32 in all eight lanes."""

    def generate(context, builder, signature, arguments):
        return _splat(builder, arguments[0], LANES)

    return Float8(types.float32), generate


@_with_twin(lambda address: np.full(LANES, _memory(address, np.uint8)[:4].view(np.float32)[0]))
def load_splat(typing_context, address):
    """Return the one float32 at an address in all eight lanes."""

    def generate(context, builder, signature, arguments):
        return _splat(builder, _load(builder, arguments[0], _F32), LANES)

    return Float8(types.intp), generate


def _store_float_twin(address: int, value: float) -> None:
    ctypes.c_float.from_address(int(address)).value = value


@_with_twin(_store_float_twin)
def store_float(typing_context, address, value):
    """Write one float32 to an address."""

    def generate(context, builder, signature, arguments):
        to, number = arguments
        builder.store(number, _pointer(builder, to, _F32), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.float32), generate


@_with_twin(lambda address: np.float32(ctypes.c_float.from_address(int(address)).value))
def load_float(typing_context, address):
    """Return the one float32 at an address."""

    def generate(context, builder, signature, arguments):
        return _load(builder, arguments[0], _F32)

    return types.float32(types.intp), generate


@_with_twin(lambda: np.zeros(LANES, np.float32))
def zeros(typing_context):
    """Return eight float32 zeros."""

    def generate(context, builder, signature, arguments):
        return ir.Constant(_FLOATS, [0.0] * LANES)

    return Float8(), generate


def _fused_twin(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    # The product of two float32 is exact in float64; the sum is rounded twice, seldom visibly.
    # The instruction says nothing of infinities and NaNs either.
    with np.errstate(invalid="ignore", over="ignore"):
        return (a.astype(np.float64) * b + c).astype(np.float32)


@_with_twin(_fused_twin)
def fused(typing_context, a, b, c):
    """Return ``a * b + c``, rounded once."""

    def generate(context, builder, signature, arguments):
        return _call(builder, f"llvm.fma.v{LANES}f32", _FLOATS, arguments)

    return Float8(Float8, Float8, Float8), generate


@_with_twin(np.maximum)
def larger(typing_context, a, b):
    """Return the larger of two vectors lane by lane; neither may hold a NaN."""

    def generate(context, builder, signature, arguments):
        a, b = arguments
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    return Float8(Float8, Float8), generate


@_with_twin(np.abs)
def magnitude(typing_context, a):
    """Return the absolute values."""

    def generate(context, builder, signature, arguments):
        return _call(builder, f"llvm.fabs.v{LANES}f32", _FLOATS, arguments)

    return Float8(Float8), generate


def _zero_below_twin(values: np.ndarray, keys: np.ndarray, limit: float) -> np.ndarray:
    return np.where(keys >= limit, values, np.float32(0))


@_with_twin(_zero_below_twin)
def zero_below(typing_context, values, keys, limit):
    """Return the values whose key is at least the limit, and zero in the other lanes."""

    def generate(context, builder, signature, arguments):
        values, keys, limit = arguments
        keep = builder.fcmp_ordered(">=", keys, _splat(builder, limit, LANES))
        return builder.select(keep, values, ir.Constant(_FLOATS, [0.0] * LANES))

    return Float8(Float8, Float8, types.float32), generate


def _keep_first_twin(values: np.ndarray, count: int, other: float) -> np.ndarray:
    return np.where(np.arange(LANES) < count, values, np.float32(other))


@_with_twin(_keep_first_twin)
def keep_first(typing_context, values, count, other):
    """Return the first ``count`` lanes, and ``other`` in the rest, whatever they held."""

    def generate(context, builder, signature, arguments):
        values, count, other = arguments
        lanes = ir.Constant(_INTS, list(range(LANES)))
        wanted = _splat(builder, builder.trunc(count, _I32), LANES)
        keep = builder.icmp_signed("<", lanes, wanted)
        return builder.select(keep, values, _splat(builder, other, LANES))

    return Float8(Float8, types.int64, types.float32), generate


@_with_twin(lambda values: np.rint(values).astype(np.int32))
def nearest(typing_context, values):
    """Return the nearest int32, ties to even; magnitudes up to 2**22."""

    def generate(context, builder, signature, arguments):
        rounder = ir.Constant(_FLOATS, [_ROUNDER] * LANES)
        rounded = builder.fsub(builder.fadd(arguments[0], rounder), rounder)
        return builder.fptosi(rounded, _INTS)

    return Int8(Float8), generate


@_with_twin(lambda values: values.astype(np.float32))
def to_float(typing_context, values):
    """Return int32 as float32."""

    def generate(context, builder, signature, arguments):
        return builder.sitofp(arguments[0], _FLOATS)

    return Float8(Int8), generate


@_with_twin(lambda exponents: np.ldexp(np.float32(1), exponents))
def power_of_two(typing_context, exponents):
    """Return ``2 ** exponents``; exponents from -126 to 127."""

    def generate(context, builder, signature, arguments):
        biased = builder.add(arguments[0], ir.Constant(_INTS, [127] * LANES))
        bits = builder.shl(biased, ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(bits, _FLOATS)

    return Float8(Int8), generate


def _folded(
    values: Any, combine: Callable[[Any, Any], Any], half: Callable[[Any, int], Any]
) -> Any:
    """Combine lane i with lane i + 4, then the four with a distance of 2, then of 1."""
    for distance in (4, 2, 1):
        values = combine(half(values, 0), half(values, distance))
    return values


def _half_of(builder: ir.IRBuilder) -> Callable[[ir.Value, int], ir.Value]:
    def half(values: ir.Value, start: int) -> ir.Value:
        lanes = max(values.type.count // 2, 1)
        indices = ir.Constant(ir.VectorType(_I32, lanes), list(range(start, start + lanes)))
        return builder.shuffle_vector(values, values, indices)

    return half


def _half_twin(values: np.ndarray, start: int) -> np.ndarray:
    lanes = max(len(values) // 2, 1)
    return values[start : start + lanes]


@_with_twin(lambda values: _folded(values, np.add, _half_twin)[0])
def sum_of(typing_context, values):
    """Return the sum of the eight lanes: (0 + 4) + (2 + 6) + ..., always in the same order."""

    def generate(context, builder, signature, arguments):
        total = _folded(arguments[0], builder.fadd, _half_of(builder))
        return builder.extract_element(total, ir.Constant(_I32, 0))

    return types.float32(Float8), generate


@_with_twin(lambda values: values.max())
def largest_of(typing_context, values):
    """Return the largest of the eight lanes."""

    def generate(context, builder, signature, arguments):
        def pick(a: ir.Value, b: ir.Value) -> ir.Value:
            return builder.select(builder.fcmp_ordered(">", a, b), a, b)

        top = _folded(arguments[0], pick, _half_of(builder))
        return builder.extract_element(top, ir.Constant(_I32, 0))

    return types.float32(Float8), generate


def _sums_of_twin(*vectors: np.ndarray) -> np.ndarray:
    return np.array([_folded(vector, np.add, _half_twin)[0] for vector in vectors])


def _pairs(builder: ir.IRBuilder, low: ir.Value, high: ir.Value, distance: int) -> ir.Value:
    """Add the lanes of two vectors that are ``distance`` apart; sums of both share one vector."""
    groups = range(0, LANES, 2 * distance)
    first = [start + lane for start in groups for lane in range(distance)]
    indices = [[lane + shift for lane in first] for shift in (0, distance)]
    sides = []
    for lanes in indices:
        both = lanes + [lane + LANES for lane in lanes]
        sides.append(
            builder.shuffle_vector(low, high, ir.Constant(ir.VectorType(_I32, LANES), both))
        )
    return builder.fadd(*sides)


@_with_twin(_sums_of_twin)
def sums_of(typing_context, a, b, c, d, e, f, g, h):
    """Return the sums of eight vectors, each in the order of `sum_of`, as one vector."""

    def generate(context, builder, signature, arguments):
        vectors = list(arguments)
        for distance in (4, 2, 1):
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [_pairs(builder, low, high, distance) for low, high in pairs]
        return vectors[0]

    return Float8(*[Float8] * LANES), generate


def _operator(symbol: Callable[[Any, Any], Any], instruction: str) -> None:
    """Let Numba code write ``a + b`` and the like on two `Float8`."""

    def typing(typing_context, a, b):
        def generate(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments)

        return Float8(Float8, Float8), generate

    compute = intrinsic(typing)

    @overload(symbol)
    def overloaded(a, b):
        if a is Float8 and b is Float8:
            return lambda a, b: compute(a, b)
        return None


if not config.DISABLE_JIT:
    for _symbol, _instruction in (
        (operator.add, "fadd"),
        (operator.sub, "fsub"),
        (operator.mul, "fmul"),
        (operator.truediv, "fdiv"),
    ):
        _operator(_symbol, _instruction)
