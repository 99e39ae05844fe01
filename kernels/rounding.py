"""Scale float16 and float32 values and round them to int8, one or 64 at a time; find the largest.

Follows: LLVM's lrint, to the nearest whole number, ties to even; on AVX2 the packing instructions
whose order one permutation repairs (Zen 3: 18 us for 262,144 values, 27 as LLVM packs them).
Leaves out: where scales come from (quantize.py).

The product must lie between -127.5 and 127.5; what anything else (a NaN) becomes depends on the
processor. Addresses and alignment are as in simd.py, and so is the cache.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core import cgutils, codegen

from kernels import half
from kernels.simd import LINE_BYTES, _pointer, _store_nontemporal, _with_twin

LINE_VALUES = LINE_BYTES  # int8 values in one cache line

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_FLOAT = ir.FloatType()
_LANES = 8  # float32 in one AVX2 register; other machines split or join


def _has_avx2() -> bool:
    asked = config.CPU_FEATURES
    features = codegen.get_host_cpu_features() if asked is None else asked
    return "+avx2" in features.split(",")


def _call(builder: ir.IRBuilder, name: str, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _shuffle(builder: ir.IRBuilder, one: ir.Value, other: ir.Value, order: list[int]) -> ir.Value:
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_I32, len(order)), order))


def _joined(builder: ir.IRBuilder, parts: list[ir.Value]) -> ir.Value:
    """Return vectors of one type end to end; their number is a power of two."""
    while len(parts) > 1:
        order = list(range(2 * parts[0].type.count))
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [_shuffle(builder, one, other, order) for one, other in pairs]
    return parts[0]


def _rounded(builder: ir.IRBuilder, values: ir.Value, inverse: ir.Value) -> ir.Value:
    """Return ``values * inverse`` as whole numbers, int32 in as many lanes."""
    count = values.type.count
    first = builder.insert_element(
        ir.Constant(values.type, ir.Undefined), inverse, ir.Constant(_I32, 0)
    )
    product = builder.fmul(values, _shuffle(builder, first, first, [0] * count))
    name = f"llvm.lrint.v{count}i32.v{count}f32"
    return _call(builder, name, ir.VectorType(_I32, count), [product])


def _pack_avx2(builder: ir.IRBuilder, words: list[ir.Value]) -> ir.Value:
    """Return 4 vectors of 8 int32 as 32 int8; the packings work within 128 bits."""
    pairs = [
        _call(builder, "llvm.x86.avx2.packssdw", ir.VectorType(_I16, 16), words[start : start + 2])
        for start in (0, 2)
    ]
    packed = _call(builder, "llvm.x86.avx2.packsswb", ir.VectorType(_I8, 32), pairs)
    fours = builder.bitcast(packed, ir.VectorType(_I32, 8))
    in_order = _shuffle(builder, fours, fours, [0, 4, 1, 5, 2, 6, 3, 7])
    return builder.bitcast(in_order, ir.VectorType(_I8, 32))


def _line(builder: ir.IRBuilder, parts: list[ir.Value], inverse: ir.Value, avx2: bool) -> ir.Value:
    """Return 8 vectors of 8 float32 as one line of 64 int8."""
    words = [_rounded(builder, part, inverse) for part in parts]
    if avx2:
        return _joined(builder, [_pack_avx2(builder, words[:4]), _pack_avx2(builder, words[4:])])
    return builder.trunc(_joined(builder, words), ir.VectorType(_I8, LINE_VALUES))


def _load_parts(
    context: Any, builder: ir.IRBuilder, address: ir.Value, kind: types.Type
) -> list[ir.Value]:
    """Return the 64 values at an address as 8 vectors of 8 float32."""
    item, item_bytes = (_I16, 2) if kind == types.uint16 else (_FLOAT, 4)
    parts = []
    for start in range(0, LINE_VALUES, _LANES):
        place = builder.add(address, ir.Constant(_I64, item_bytes * start))
        values = builder.load(_pointer(builder, place, ir.VectorType(item, _LANES)), align=1)
        parts.append(half.widened(context, builder, values) if item == _I16 else values)
    return parts


@_with_twin(lambda like: like.itemsize)
def value_bytes(typing_context, like):
    """Return the bytes of an array's values; to the compiler a constant, which ``itemsize`` is not.

    A multiplication and a branch on it a line took a tenth of storing as int8.
    """
    n_bytes = like.dtype.bitwidth // 8

    def generate(context, builder, signature, arguments):
        return ir.Constant(_I64, n_bytes)

    return types.intp(like), generate


def _larger_line_twin(one: int, other: int, like: np.ndarray) -> Any:
    parts = [
        (ctypes.c_uint8 * (LINE_VALUES * like.itemsize)).from_address(int(at))
        for at in (one, other)
    ]
    bits = np.concatenate([np.frombuffer(part, f"u{like.itemsize}") for part in parts])
    return (bits & bits.dtype.type((1 << (8 * like.itemsize - 1)) - 1)).max()


@_with_twin(_larger_line_twin)
def _larger_line(typing_context, one, other, like):
    """Return the largest of two lines' bits without their signs; one line may be the other."""
    bits = {types.uint16: types.uint16, types.float32: types.uint32}[like.dtype]

    def generate(context, builder, signature, arguments):
        item = context.get_value_type(bits)
        line = ir.VectorType(item, LINE_VALUES)
        unsigned = ir.Constant(line, [(1 << (item.width - 1)) - 1] * LINE_VALUES)
        lines = [
            builder.and_(builder.load(_pointer(builder, at, line), align=1), unsigned)
            for at in arguments[:2]
        ]
        suffix = f"v{LINE_VALUES}i{item.width}"
        larger = _call(builder, f"llvm.umax.{suffix}", line, lines)
        return _call(builder, f"llvm.vector.reduce.umax.{suffix}", item, [larger])

    return bits(types.intp, types.intp, like), generate


@njit(cache=True, nogil=True)
def largest_of(source, count, like):
    """Return the largest of values' bits without their signs, as `half.magnitude_bits` has them.

    ``source`` is the address of ``count`` values, at least 64; ``like`` any array of their dtype:
    float32, or uint16 for float16 bits. Two lines are compared value by value before the largest is
    picked from one, which takes as long as loading the two.
    """
    item_bytes, last = value_bytes(like), count - LINE_VALUES
    if last == 0:
        return _larger_line(source, source, like)
    most = _larger_line(source, source + min(LINE_VALUES, last) * item_bytes, like)
    for place in range(2 * LINE_VALUES, count, 2 * LINE_VALUES):
        one, other = min(place, last), min(place + LINE_VALUES, last)
        larger = _larger_line(source + one * item_bytes, source + other * item_bytes, like)
        most = max(most, larger)
    return most


def _round_to_int8_twin(value: np.float32) -> np.int8:
    return np.int8(np.rint(value))


@_with_twin(_round_to_int8_twin)
def round_to_int8(typing_context, value):
    """Return a float32 as int8, to the nearest, ties to even; -128 to 127 only."""

    def generate(context, builder, signature, arguments):
        return builder.trunc(_call(builder, "llvm.lrint.i32.f32", _I32, [arguments[0]]), _I8)

    return types.int8(types.float32), generate


def _int8_line_twin(destination: int, source: int, like: np.ndarray, inverse: np.float32) -> None:
    raw = (ctypes.c_uint8 * (LINE_VALUES * like.itemsize)).from_address(int(source))
    values = np.frombuffer(raw, np.float16 if like.dtype == np.uint16 else like.dtype).astype(
        np.float32
    )
    line = (ctypes.c_int8 * LINE_VALUES).from_address(int(destination))
    np.frombuffer(line, np.int8)[:] = np.rint(values * inverse).astype(np.int8)


@_with_twin(_int8_line_twin)
def int8_line(typing_context, destination, source, like, inverse):
    """Write 64 values times ``inverse`` (float32) as 64 int8, through the cache; any alignment.

    ``like`` is any array of the values' dtype: float32, or uint16 for float16 bits.
    """

    def generate(context, builder, signature, arguments):
        to, start, _, inverse = arguments
        parts = _load_parts(context, builder, start, like.dtype)
        line = _line(builder, parts, inverse, _has_avx2())
        builder.store(line, _pointer(builder, to, line.type), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, like, types.float32), generate


@_with_twin(_int8_line_twin)
def int8_line_nontemporal(typing_context, destination, source, like, inverse):
    """Do as `int8_line`, past the cache; the destination must be a multiple of 64.

    As with `simd.copy_line_nontemporal`, end every run of them with `simd.store_fence`.
    """

    def generate(context, builder, signature, arguments):
        to, start, _, inverse = arguments
        parts = _load_parts(context, builder, start, like.dtype)
        _store_nontemporal(builder, _line(builder, parts, inverse, _has_avx2()), to)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, like, types.float32), generate
