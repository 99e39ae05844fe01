"""Let Numba kernels compute with eight float32 or int32 at a time, as values with operators.

Follows: LLVM's generic vectors, which every target splits to, or fits into, the registers it has.
Leaves out: loads and stores (vector_memory.py), dot products of bytes (dot.py), and anything whose
result depends on the order of a sum: operations are done lane by lane, and sums have one order.

A `Float8` holds float32[8], an `Int8` int32[8] (eight numbers, not eight bits). Under
``NUMBA_DISABLE_JIT=1`` a vector is a NumPy array of 8. As with simd.py,
after an edit here delete kernels/__pycache__.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from kernels.simd import _pointer, _with_twin

LANES = 8

_I16, _I32 = ir.IntType(16), ir.IntType(32)
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
            # A product with 1 or -1 is exact: sums and differences in one instruction.
            signs = [-1.0 if lane & distance else 1.0 for lane in range(LANES)]
            parts = [values, ir.Constant(_FLOATS, signs), swapped]
            values = _call(builder, f"llvm.fma.v{LANES}f32", _FLOATS, parts)
        return values

    return Float8(Float8), generate


@_with_twin(lambda value: np.full(LANES, value, np.float32))
def splat(typing_context, value):
    """Return a float32 in all eight lanes."""

    def generate(context, builder, signature, arguments):
        return _splat(builder, arguments[0], LANES)

    return Float8(types.float32), generate


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


@_with_twin(np.minimum)
def smaller(typing_context, a, b):
    """Return the smaller of two vectors lane by lane; neither may hold a NaN."""

    def generate(context, builder, signature, arguments):
        a, b = arguments
        return builder.select(builder.fcmp_ordered("<", a, b), a, b)

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


def _rounded(builder: ir.IRBuilder, values: ir.Value) -> ir.Value:
    rounder = ir.Constant(_FLOATS, [_ROUNDER] * LANES)
    return builder.fsub(builder.fadd(values, rounder), rounder)


@_with_twin(np.rint)
def rounded(typing_context, values):
    """Return the nearest whole numbers as float32, ties to even; magnitudes up to 2**22."""

    def generate(context, builder, signature, arguments):
        return _rounded(builder, arguments[0])

    return Float8(Float8), generate


@_with_twin(lambda values: np.rint(values).astype(np.int32))
def nearest(typing_context, values):
    """Return the nearest int32, ties to even; magnitudes up to 2**22."""

    def generate(context, builder, signature, arguments):
        return builder.fptosi(_rounded(builder, arguments[0]), _INTS)

    return Int8(Float8), generate


@_with_twin(lambda values: values.astype(np.float32))
def to_float(typing_context, values):
    """Return int32 as float32."""

    def generate(context, builder, signature, arguments):
        return builder.sitofp(arguments[0], _FLOATS)

    return Float8(Int8), generate


@_with_twin(lambda exponents: np.ldexp(np.float32(1), exponents.astype(np.int32)))
def power_of_two(typing_context, exponents):
    """Return ``2 ** exponents`` of whole numbers in float32, from -126 to 127."""

    def generate(context, builder, signature, arguments):
        whole = builder.fptosi(arguments[0], _INTS)
        biased = builder.add(whole, ir.Constant(_INTS, [127] * LANES))
        bits = builder.shl(biased, ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(bits, _FLOATS)

    return Float8(Float8), generate


def _pick(builder: ir.IRBuilder, values: ir.Value, lanes: list[int]) -> ir.Value:
    indices = ir.Constant(ir.VectorType(_I32, len(lanes)), lanes)
    return builder.shuffle_vector(values, values, indices)


def _neighbours(builder: ir.IRBuilder, values: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Return the even lanes and the odd ones."""
    n_lanes = values.type.count
    even = list(range(0, n_lanes, 2))
    return _pick(builder, values, even), _pick(builder, values, [lane + 1 for lane in even])


def _sum_twin(values: np.ndarray) -> np.float32:
    while len(values) > 1:
        values = values[::2] + values[1::2]
    return values[0]


@_with_twin(_sum_twin)
def sum_of(typing_context, values):
    """Return the sum of the eight lanes: ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)), always."""

    def generate(context, builder, signature, arguments):
        total = arguments[0]
        while total.type.count > 1:
            total = builder.fadd(*_neighbours(builder, total))
        return builder.extract_element(total, ir.Constant(_I32, 0))

    return types.float32(Float8), generate


@_with_twin(lambda values: values.max())
def largest_of(typing_context, values):
    """Return the largest of the eight lanes."""

    def generate(context, builder, signature, arguments):
        top = arguments[0]
        while top.type.count > 1:
            even, odd = _neighbours(builder, top)
            top = builder.select(builder.fcmp_ordered(">", even, odd), even, odd)
        return builder.extract_element(top, ir.Constant(_I32, 0))

    return types.float32(Float8), generate


def _pairs(builder: ir.IRBuilder, low: ir.Value, high: ir.Value) -> ir.Value:
    """Add neighbours in two vectors, within the halves that registers are shuffled in."""
    first = [0, 2, 8, 10, 4, 6, 12, 14]
    sides = []
    for lanes in (first, [lane + 1 for lane in first]):
        indices = ir.Constant(ir.VectorType(_I32, LANES), lanes)
        sides.append(builder.shuffle_vector(low, high, indices))
    return builder.fadd(*sides)


def _halves(builder: ir.IRBuilder, low: ir.Value, high: ir.Value) -> ir.Value:
    """Add the halves of each of two vectors."""
    sides = []
    for lanes in ([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]):
        indices = ir.Constant(ir.VectorType(_I32, LANES), lanes)
        sides.append(builder.shuffle_vector(low, high, indices))
    return builder.fadd(*sides)


@_with_twin(lambda *vectors: np.array([_sum_twin(vector) for vector in vectors]))
def sums_of(typing_context, a, b, c, d, e, f, g, h):
    """Return the sums of eight vectors, each in the order of `sum_of`, as one vector."""

    def generate(context, builder, signature, arguments):
        vectors = list(arguments)
        for _ in range(2):
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [_pairs(builder, low, high) for low, high in pairs]
        return _halves(builder, *vectors)

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
