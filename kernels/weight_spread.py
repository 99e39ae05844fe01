"""Spread the codes of K and Q5 weight blocks, so that no loop over a product has to.

Follows: ggml's block layouts (ggml-common.h, read 2026-11); what a block becomes is what
workbench/inference/weight_layouts.py lays out for the products' kernels.
Leaves out: interleaving rows (interleave.py), and types that are interleaved as they are.

Q4_K and Q6_K keep their size but for six bits of scale, which become bytes; values of five bits
become bytes with a float32 scale and minimum for each 32 of them. Words of eight bytes are shifted
and masked at once: byte by byte Numba's loops came to 0.2 to 1.0 GB/s. Little-endian.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numpy.typing import NDArray

from kernels.array_check import expect
from kernels.dequantize_blocks import half_at
from kernels.dequantize_k import scale_and_minimum
from kernels.record import Kernel, exact, register
from kernels.simd import _pointer, _with_twin, address_of

Bytes = NDArray[np.uint8]

_BYTE = np.dtype(np.uint8)
_GROUPS = 8  # of 32 values, in a block of the K types
_BYTE_GROUP = 40  # float32 scale and minimum, 32 codes
_SIZES_BLOCKS = (0, 1, 2, 3, 17)

_WORD = ir.IntType(64)
_LOW_NIBBLES = np.uint64(0x0F0F0F0F0F0F0F0F)
_LOW_PAIRS = np.uint64(0x0303030303030303)
_LOW_BITS = np.uint64(0x0101010101010101)


def _word_twin(address: int) -> ctypes.c_uint64:
    return ctypes.c_uint64.from_address(int(address))


@_with_twin(lambda address: np.uint64(_word_twin(address).value))
def _load_word(typing_context, address):
    """Return the eight bytes at an address, any alignment."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.load(_pointer(builder, arguments[0], _WORD), align=1)

    return types.uint64(types.intp), generate


def _store_word_twin(address: int, word: np.uint64) -> None:
    _word_twin(address).value = int(word)


@_with_twin(_store_word_twin)
def _store_word(typing_context, address, word):
    """Write eight bytes to an address, any alignment."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        builder.store(arguments[1], _pointer(builder, arguments[0], _WORD), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.uint64), generate


@njit(cache=True, nogil=True, inline="always")
def _bits(address, shift, mask):
    """Return some bits of each of eight bytes, at the bottom of theirs."""
    return _load_word(address) >> np.uint64(shift) & mask


@njit(cache=True, nogil=True)
def _spread_nibbles(to, codes, shift):
    """Write half of each of 32 bytes, i and i + 16 in a byte."""
    for at in range(0, 16, 8):
        low, high = (
            _bits(codes + at, shift, _LOW_NIBBLES),
            _bits(codes + at + 16, shift, _LOW_NIBBLES),
        )
        _store_word(to + at, low | high << np.uint64(4))


@njit(cache=True, nogil=True)
def _spread_q4_k(packed, spread):
    """Write d, dmin; then for each group scale, minimum, and nibbles i and i + 16 in a byte."""
    start, out, to = address_of(packed), address_of(spread), 0
    for at in range(0, packed.size, 144):
        # Slices cost Numba an overlap check each: half of the time.
        for i in range(4):
            spread[to + i] = packed[at + i]
        to += 4
        for group in range(_GROUPS):
            spread[to], spread[to + 1] = scale_and_minimum(packed, at + 4, group)
            codes = start + at + 16 + 32 * (group // 2)
            _spread_nibbles(out + to + 2, codes, 4 * (group % 2))
            to += 18


@njit(cache=True, nogil=True)
def _upper_bits(codes, shift):
    """Return two bits of each of 16 bytes: bits 2v of byte b are those of byte 4v + b."""
    first, second = _bits(codes, shift, _LOW_PAIRS), _bits(codes + 8, shift, _LOW_PAIRS)
    second = second << np.uint64(4)
    first = first | first >> np.uint64(30)
    second = second | second >> np.uint64(30)
    return (first | second) & np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True)
def _spread_q6_k(packed, spread):
    """Write d; then for each group two scales, low nibbles as Q4_K's, and upper bits.

    Bits 2v of upper byte 4t + b are those of value 16t + 4v + b.
    """
    start, out, to = address_of(packed), address_of(spread), 0
    for at in range(0, packed.size, 210):
        spread[to], spread[to + 1] = packed[at + 208], packed[at + 209]
        to += 2
        for group in range(_GROUPS):
            part, quarter, scales = group // 4, group % 4, at + 192 + 2 * group
            spread[to], spread[to + 1] = packed[scales], packed[scales + 1]
            low = start + at + 64 * part + 32 * (quarter % 2)
            _spread_nibbles(out + to + 2, low, 4 * (quarter // 2))
            high, shift = start + at + 128 + 32 * part, 2 * quarter
            upper = _upper_bits(high, shift) | _upper_bits(high + 16, shift) << np.uint64(32)
            _store_word(out + to + 18, upper)
            to += 26


@njit(cache=True, nogil=True)
def _spread_q5_k(packed, spread):
    """Write groups of 32 codes of a byte each behind what a code is worth and what is added."""
    factors = spread.view(np.float32)
    start, out, to = address_of(packed), address_of(spread), 0
    for at in range(0, packed.size, 176):
        d, dmin = half_at(packed, at), half_at(packed, at + 2)
        for group in range(_GROUPS):
            scale, minimum = scale_and_minimum(packed, at + 4, group)
            factors[to // 4] = d * np.float32(scale)
            factors[to // 4 + 1] = -dmin * np.float32(minimum)
            fifths = start + at + 16
            codes = fifths + 32 + 32 * (group // 2)
            for i in range(0, 32, 8):
                low = _bits(codes + i, 4 * (group % 2), _LOW_NIBBLES)
                high = _bits(fifths + i, group, _LOW_BITS)
                _store_word(out + to + 8 + i, low | high << np.uint64(4))
            to += _BYTE_GROUP


@njit(cache=True, nogil=True)
def _fifth_bits(byte):
    """Return the bits of a byte as the fifth ones of eight bytes."""
    # One bit stays in each byte, at a place of its own; 127 more carry it to the top one.
    spread = np.uint64(byte) * _LOW_BITS & np.uint64(0x8040201008040201)
    return (spread + np.uint64(0x7F7F7F7F7F7F7F7F)) >> np.uint64(3) & _LOW_BITS << np.uint64(4)


@njit(cache=True, nogil=True)
def _spread_q5(packed, spread, block_bytes):
    """Write blocks of Q5_0 (22 bytes, counted from -16) or Q5_1 (24 bytes, with a minimum)."""
    factors = spread.view(np.float32)
    start, out, to = address_of(packed), address_of(spread), 0
    head = block_bytes - 20
    for at in range(0, packed.size, block_bytes):
        scale = half_at(packed, at)
        factors[to // 4] = scale
        factors[to // 4 + 1] = np.float32(-16) * scale if head == 2 else half_at(packed, at + 2)
        codes = start + at + head + 4
        for i in range(4):
            low = _bits(codes + 8 * (i % 2), 4 * (i // 2), _LOW_NIBBLES)
            _store_word(out + to + 8 + 8 * i, low | _fifth_bits(packed[at + head + i]))
        to += _BYTE_GROUP


def _spread_q5_0(packed, spread):
    _spread_q5(packed, spread, 22)


def _spread_q5_1(packed, spread):
    _spread_q5(packed, spread, 24)


def _up(codes: Bytes, bits: int) -> Bytes:
    """Shift bytes left."""
    return np.left_shift(codes, np.uint8(bits))


def _nibbles(codes: Bytes) -> Bytes:
    """Pack uint8[..., 32] codes of 4 bits as the kernels read them: value i beside i + 16."""
    return codes[..., :16] | _up(codes[..., 16:], 4)


def _super_nibbles(quants: Bytes) -> Bytes:
    """Return the low 4 bits of K types, uint8[n, 128], as codes [n, 8, 32]."""
    pairs = quants.reshape(-1, 4, 1, 32)
    return np.concatenate((pairs & 15, pairs >> 4), axis=-2).reshape(-1, 8, 32)


def _scales_and_minima(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Return the 6-bit scales and minima of K types, uint8[n, 12], as bytes [n, 8] each."""
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate((low & 63, high & 15 | low >> 6 << 4), axis=-1)
    minima = np.concatenate((middle & 63, high >> 4 | middle >> 6 << 4), axis=-1)
    return scales, minima


def _halves(blocks: Bytes, place: int) -> NDArray[np.float32]:
    halves = np.ascontiguousarray(blocks[:, place : place + 2]).view(np.float16)
    return halves[:, 0].astype(np.float32)


def _five_bits(high: Bytes, quants: Bytes) -> Bytes:
    """Join the four bytes of fifth bits with the nibbles of Q5_0 and Q5_1: codes [n, 32]."""
    bits = np.unpackbits(high, axis=-1, bitorder="little")
    return np.concatenate((quants & 15, quants >> 4), axis=-1) | _up(bits, 4)


def _joined(parts: list[NDArray[np.generic]]) -> Bytes:
    """Return parts, any[n, ...], side by side as bytes."""
    n = len(parts[0])
    sides = [np.ascontiguousarray(part).view(np.uint8).reshape(n, -1) for part in parts]
    return np.concatenate(sides, axis=1)


def _all_q4_k(blocks: Bytes) -> Bytes:
    pairs = np.stack(_scales_and_minima(blocks[:, 4:16]), axis=-1)
    nibbles = _nibbles(_super_nibbles(blocks[:, 16:]))
    return _joined([blocks[:, :4], np.concatenate((pairs, nibbles), axis=-1)])


def _all_q6_k(blocks: Bytes) -> Bytes:
    # Halves of 128 values: 64 bytes hold the low bits of values l and l + 64, 32 the high bits.
    low = blocks[:, :128].reshape(-1, 2, 1, 64)
    low = np.concatenate((low & 15, low >> 4), axis=-2).reshape(-1, 8, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32)
    high = np.concatenate([high >> 2 * part & 3 for part in range(4)], axis=-2)
    words = high.reshape(-1, 8, 2, 4, 4)
    upper = np.bitwise_or.reduce([_up(words[..., word, :], 2 * word) for word in range(4)])
    scales = blocks[:, 192:208].reshape(-1, 8, 2)
    parts = np.concatenate((scales, _nibbles(low), upper.reshape(-1, 8, 8)), axis=-1)
    return _joined([blocks[:, 208:], parts])


def _all_q5_k(blocks: Bytes) -> Bytes:
    scales, minima = _scales_and_minima(blocks[:, 4:16])
    bits = np.stack([blocks[:, 16:48] >> part & 1 for part in range(8)], axis=-2)
    codes = _super_nibbles(blocks[:, 48:]) | _up(bits, 4)
    d, least = _halves(blocks, 0)[:, None], _halves(blocks, 2)[:, None]
    factors = np.stack((d * scales, -least * minima), axis=-1)
    return _joined([np.concatenate((factors.view(np.uint8), codes), axis=-1)])


def _all_q5_0(blocks: Bytes) -> Bytes:
    scales = _halves(blocks, 0)
    codes = _five_bits(blocks[:, 2:6], blocks[:, 6:])
    return _joined([np.stack((scales, -16 * scales), axis=-1), codes])


def _all_q5_1(blocks: Bytes) -> Bytes:
    factors = np.stack((_halves(blocks, 0), _halves(blocks, 2)), axis=-1)
    return _joined([factors, _five_bits(blocks[:, 4:8], blocks[:, 8:])])


@dataclass(frozen=True, slots=True)
class Spread:
    """How one type's blocks are spread.

    Attributes
    ----------
    name : str
    packed_bytes, spread_bytes : int   of a block, as it stands in a file and as it comes out
    halves : tuple of int              where a packed block's float16 are
    whole : callable                   uint8[n, packed_bytes] -> uint8[n, spread_bytes], in NumPy
    loop : callable                    block by block: packed, spread, both flat
    """

    name: str
    packed_bytes: int
    spread_bytes: int
    halves: tuple[int, ...]
    whole: Callable[[Bytes], Bytes]
    loop: Callable[[Bytes, Bytes], None]

    def numpy(self, packed: Bytes, spread: Bytes) -> None:
        """Spread all blocks at once with NumPy.

        Parameters
        ----------
        packed : uint8[n_blocks * packed_bytes]   read
        spread : uint8[n_blocks * spread_bytes]   written
        """
        if packed.size:
            blocks = self.whole(packed.reshape(-1, self.packed_bytes))
            spread.reshape(-1, self.spread_bytes)[:] = blocks

    def njit(self, packed: Bytes, spread: Bytes) -> None:
        """Spread block by block; compiled."""
        n_blocks, left = divmod(packed.size, self.packed_bytes)
        if left:
            raise ValueError(
                f"{packed.size} bytes of {self.name}: a block has {self.packed_bytes} bytes"
            )
        expect("packed", packed, (packed.size,), _BYTE)
        expect("spread", spread, (n_blocks * self.spread_bytes,), _BYTE)
        self.loop(packed, spread)

    def make_inputs(self, rng: np.random.Generator, size: int) -> tuple[Bytes, Bytes]:
        """Return ``size`` blocks of random codes with finite scales, and zeros."""
        blocks = rng.integers(0, 256, (size, self.packed_bytes), dtype=np.uint8)
        for place in self.halves:
            scales = rng.standard_normal((size, 1)).astype(np.float16)
            blocks[:, place : place + 2] = scales.view(np.uint8)
        return blocks.reshape(-1), np.zeros(size * self.spread_bytes, np.uint8)

    def registered(self) -> Spread:
        """Enter the type's record, and return it."""
        register(
            Kernel(
                name=f"spread_{self.name.lower()}",
                reference=self.numpy,
                baseline="numpy",
                variants={"numpy": self.numpy, "njit": self.njit},
                make_inputs=self.make_inputs,
                outputs=(1,),
                check=exact,
                bytes_moved=_bytes_moved,
                sizes=_SIZES_BLOCKS,
            )
        )
        return self


def _bytes_moved(packed: Bytes, spread: Bytes) -> int:
    """Return the bytes read plus written."""
    return packed.nbytes + spread.nbytes


Q4_K = Spread("Q4_K", 144, 148, (0, 2), _all_q4_k, _spread_q4_k).registered()
Q5_K = Spread("Q5_K", 176, 8 * _BYTE_GROUP, (0, 2), _all_q5_k, _spread_q5_k).registered()
Q6_K = Spread("Q6_K", 210, 210, (208,), _all_q6_k, _spread_q6_k).registered()
Q5_0 = Spread("Q5_0", 22, _BYTE_GROUP, (0,), _all_q5_0, _spread_q5_0).registered()
Q5_1 = Spread("Q5_1", 24, _BYTE_GROUP, (0, 2), _all_q5_1, _spread_q5_1).registered()
