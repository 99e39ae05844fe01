"""Convert between float32 and float16 in Numba kernels, which have no float16 of their own.

Follows: IEEE 754 binary16, as F16C and AArch64 convert it: to the nearest value, ties to even; a
NaN keeps its sign and the upper bits of its payload and comes out quiet.
Leaves out: arithmetic in float16, and int8 and int4 (quantize.py).

A float16 travels as the uint16 of its bits (``array.view(np.uint16)``). Loops over the two scalar
conversions are vectorised by LLVM; the conversions of 32 values write whole cache lines, for the
stores that must. Processors without the instruction compile what the interpreter runs.

Numba's on-disk cache follows the kernel's own file, not this one: after an edit here delete
kernels/__pycache__.
"""

from __future__ import annotations

import ctypes
import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import codegen

from kernels.simd import LINE_BYTES, _pointer, _store_nontemporal, _with_twin

LINE_VALUES = LINE_BYTES // 2  # float16 values in one cache line; 128 bytes of float32

_I16, _I64 = ir.IntType(16), ir.IntType(64)
_HALF, _FLOAT = ir.HalfType(), ir.FloatType()
_ARM = ("aarch64", "arm64")


def has_instruction() -> bool:
    """Return whether the code Numba compiles converts float16 with an instruction.

    Without one LLVM would call a function that Numba's linker does not find.
    """
    if platform.machine().lower() in _ARM:
        return True
    asked = config.CPU_FEATURES
    features = codegen.get_host_cpu_features() if asked is None else asked
    return "+f16c" in features.split(",")


def _half_to_float_twin(bits: np.uint16) -> np.float32:
    """Convert in whole numbers: interpreted, or compiled where there is no instruction."""
    word = np.int64(bits)
    magnitude = word & 0x7FFF
    if magnitude > 0x7C00:
        magnitude = 0x7FC00000 | (magnitude << 13)
    elif magnitude == 0x7C00:
        magnitude = np.int64(0x7F800000)
    elif magnitude >= 0x0400:
        magnitude = (magnitude << 13) + (112 << 23)  # exponents count from 127 instead of 15
    else:
        small = np.float32(magnitude) * np.float32(2.0**-24)
        magnitude = np.int64(np.float32(small).view(np.uint32))
    return np.uint32((word & 0x8000) << 16 | magnitude).view(np.float32)


def _float_to_half_twin(value: np.float32) -> np.uint16:
    """Convert in whole numbers: interpreted, or compiled where there is no instruction."""
    word = np.int64(np.float32(value).view(np.uint32))
    magnitude = word & 0x7FFFFFFF
    if magnitude > 0x7F800000:
        half = 0x7E00 | (magnitude >> 13 & 0x3FF)
    elif magnitude >= 0x477FF000:  # 65,520: half way from the largest float16 to the next step
        half = np.int64(0x7C00)
    elif magnitude >= 0x38800000:  # 2**-14, the smallest normal float16
        rebased = magnitude - (112 << 23)
        half = (rebased + 0x0FFF + (rebased >> 13 & 1)) >> 13
    else:
        # Beside 0.5 a float32's last bit is 2**-24, a subnormal float16's: the addition rounds.
        shifted = np.uint32(magnitude).view(np.float32) + np.float32(0.5)
        half = np.int64(np.float32(shifted).view(np.uint32)) - 0x3F000000
    return np.uint16((word >> 16 & 0x8000) | half)


def _extend(builder: ir.IRBuilder, bits: ir.Value) -> ir.Value:
    """Return a float16's bits, or a vector of them, as float32."""
    if isinstance(bits.type, ir.VectorType):
        halves, floats = (ir.VectorType(kind, bits.type.count) for kind in (_HALF, _FLOAT))
        return builder.fpext(builder.bitcast(bits, halves), floats)
    return builder.fpext(builder.bitcast(bits, _HALF), _FLOAT)


def _truncate(builder: ir.IRBuilder, values: ir.Value) -> ir.Value:
    """Return the bits of a float32, or a vector of them, as float16."""
    if isinstance(values.type, ir.VectorType):
        halves, bits = (ir.VectorType(kind, values.type.count) for kind in (_HALF, _I16))
        return builder.bitcast(builder.fptrunc(values, halves), bits)
    return builder.bitcast(builder.fptrunc(values, _HALF), _I16)


def _widened_one(context: Any, builder: ir.IRBuilder, arguments: Any) -> ir.Value:
    if has_instruction():
        return _extend(builder, arguments[0])
    signature = types.float32(types.uint16)
    return context.compile_internal(builder, _half_to_float_twin, signature, arguments)


@_with_twin(_half_to_float_twin)
def half_to_float(typing_context, bits):
    """Return the float32 of a float16's bits (uint16); exact."""
    signature = types.float32(types.uint16)

    def generate(context, builder, signature, arguments):
        return _widened_one(context, builder, arguments)

    return signature, generate


def _magnitude_bits_twin(value: Any) -> Any:
    if isinstance(value, np.uint16):
        return np.uint16(value & np.uint16(0x7FFF))
    return np.uint32(np.float32(value).view(np.uint32) & np.uint32(0x7FFFFFFF))


@_with_twin(_magnitude_bits_twin)
def magnitude_bits(typing_context, value):
    """Return a value's bits without the sign: uint16 of float16 bits, uint32 of a float32.

    As whole numbers they order as the magnitudes do, infinity above all and NaNs above that, and
    their maximum is found in vectors, which a maximum of floats is not.
    """
    known = {types.uint16: types.uint16, types.float32: types.uint32}
    if value not in known:
        return None

    def generate(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], context.get_value_type(signature.return_type))
        return builder.and_(bits, ir.Constant(bits.type, (1 << (bits.type.width - 1)) - 1))

    return known[value](value), generate


def _as_float_twin(value: Any) -> np.float32:
    if isinstance(value, np.uint16):
        return _half_to_float_twin(value)
    return value.view(np.float32) if isinstance(value, np.uint32) else value


@_with_twin(_as_float_twin)
def as_float(typing_context, value):
    """Return a float32: itself, or that of a float16's bits (uint16) or a float32's (uint32)."""

    def generate(context, builder, signature, arguments):
        if signature.args[0] == types.uint16:
            return _widened_one(context, builder, arguments)
        return builder.bitcast(arguments[0], _FLOAT)

    known = (types.float32, types.uint16, types.uint32)
    return (types.float32(value), generate) if value in known else None


def _narrowed_one(context: Any, builder: ir.IRBuilder, arguments: Any) -> ir.Value:
    if has_instruction():
        return _truncate(builder, arguments[0])
    signature = types.uint16(types.float32)
    return context.compile_internal(builder, _float_to_half_twin, signature, arguments)


@_with_twin(_float_to_half_twin)
def float_to_half(typing_context, value):
    """Return the bits (uint16) of the float16 nearest to a float32; infinity from 65,520."""
    signature = types.uint16(types.float32)

    def generate(context, builder, signature, arguments):
        return _narrowed_one(context, builder, arguments)

    return signature, generate


def _narrow_value_twin(destination: int, source: int) -> None:
    value = np.float32(ctypes.c_float.from_address(int(source)).value)
    ctypes.c_uint16.from_address(int(destination)).value = int(_float_to_half_twin(value))


@_with_twin(_narrow_value_twin)
def narrow_value(typing_context, destination, source):
    """Write the float32 at one address as a float16 to another, both multiples of their size."""

    def generate(context, builder, signature, arguments):
        to, start = arguments
        value = builder.load(_pointer(builder, start, _FLOAT))
        builder.store(_narrowed_one(context, builder, [value]), _pointer(builder, to, _I16))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


def _narrow_line_twin(destination: int, source: int) -> None:
    values = (ctypes.c_float * LINE_VALUES).from_address(int(source))
    halves = (ctypes.c_uint16 * LINE_VALUES).from_address(int(destination))
    halves[:] = [int(_float_to_half_twin(np.float32(value))) for value in values]


def _each(
    context: Any, builder: ir.IRBuilder, twin: Any, values: ir.Value, signature: Any, to: ir.Type
) -> ir.Value:
    """Return a vector converted value by value, where there is no instruction."""
    converted = ir.Constant(ir.VectorType(to, values.type.count), ir.Undefined)
    for number in range(values.type.count):
        place = ir.Constant(_I64, number)
        value = [builder.extract_element(values, place)]
        result = context.compile_internal(builder, twin, signature, value)
        converted = builder.insert_element(converted, result, place)
    return converted


def widened(context: Any, builder: ir.IRBuilder, bits: ir.Value) -> ir.Value:
    """Return a vector of float16 bits as one of float32, for other files' intrinsics."""
    if has_instruction():
        return _extend(builder, bits)
    signature = types.float32(types.uint16)
    return _each(context, builder, _half_to_float_twin, bits, signature, _FLOAT)


def _narrowed(context: Any, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """Return the 32 float32 at an address as one line of float16 bits."""
    pointer = _pointer(builder, address, ir.VectorType(_FLOAT, LINE_VALUES))
    values = builder.load(pointer, align=1)
    if has_instruction():
        return _truncate(builder, values)
    signature = types.uint16(types.float32)
    return _each(context, builder, _float_to_half_twin, values, signature, _I16)


@_with_twin(_narrow_line_twin)
def narrow_line(typing_context, destination, source):
    """Write 32 float32 as 32 float16, 64 bytes, through the cache; any alignment."""

    def generate(context, builder, signature, arguments):
        line = _narrowed(context, builder, arguments[1])
        builder.store(line, _pointer(builder, arguments[0], line.type), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@_with_twin(_narrow_line_twin)
def narrow_line_nontemporal(typing_context, destination, source):
    """Write 32 float32 as 32 float16 past the cache; the destination must be a multiple of 64.

    As with `simd.copy_line_nontemporal`, end every run of them with `simd.store_fence`.
    """

    def generate(context, builder, signature, arguments):
        line = _narrowed(context, builder, arguments[1])
        _store_nontemporal(builder, line, arguments[0])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate
