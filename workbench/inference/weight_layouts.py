"""Say in which layout each GGUF weight type is multiplied, and how its blocks get there.

Follows: ggml's block layouts; the kernels' layouts of eight interleaved rows (kernels/matvec_*.py).
Leaves out: the interleaving itself (kernels/interleave.py) and memory (weights.py).

Q4_0, Q4_1, Q8_0, F16 and F32 are interleaved as they are; bfloat16 is widened to float32. The K
types' 6-bit scales are spread over bytes first, and the Q5 types' values, so that no loop has to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from kernels import matrix

_ROWS = 8
_WORDS = 2  # uint16 in the four bytes of one row in a vector

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class WeightLayout:
    """How one weight type is packed.

    Attributes
    ----------
    number : int           of the layout, as kernels/matrix.py counts
    expand : callable      uint8[n_rows, row_bytes] -> uint16[n_rows, n_blocks, n_words], a view
                           of the rows where nothing is to be changed
    bases, steps : int64   of each word, as kernels/interleave.py takes them
    """

    number: int
    expand: Callable[[Bytes], Words]
    bases: NDArray[np.int64]
    steps: NDArray[np.int64]

    @property
    def block_values(self) -> int:
        """Return the weights of one row in a block."""
        return matrix.BLOCKS[self.number][0]

    @property
    def block_bytes(self) -> int:
        """Return the bytes of eight rows' block."""
        return matrix.BLOCKS[self.number][1]


def _blocks(block_bytes: int) -> Callable[[Bytes], Words]:
    def expand(rows: Bytes) -> Words:
        return rows.view(np.uint16).reshape(len(rows), -1, block_bytes // 2)

    return expand


def _layout(
    number: int, expand: Callable[[Bytes], Words], parts: list[tuple[int, int]]
) -> WeightLayout:
    """Return a layout of parts that follow each other, each (words a row, words side by side)."""
    bases: list[int] = []
    steps: list[int] = []
    start = 0
    for n_words, n_together in parts:
        for word in range(0, n_words, n_together):
            bases += range(start + word * _ROWS, start + word * _ROWS + n_together)
        steps += [n_together] * n_words
        start += n_words * _ROWS
    return WeightLayout(number, expand, np.array(bases, np.int64), np.array(steps, np.int64))


def _words(parts: list[NDArray[np.generic]]) -> Words:
    """Join parts, any[n_rows, n_blocks, ...], block by block into words."""
    n_rows, n_blocks = parts[0].shape[:2]
    sides = [
        np.ascontiguousarray(part).view(np.uint8).reshape(n_rows, n_blocks, -1) for part in parts
    ]
    return np.concatenate(sides, axis=2).view(np.uint16)


def _up(codes: Bytes, bits: int) -> Bytes:
    """Shift bytes left."""
    return np.left_shift(codes, np.uint8(bits))


def _nibbles(codes: Bytes) -> Bytes:
    """Pack uint8[..., 32] codes of 4 bits as the kernels read them: value i beside i + 16."""
    return codes[..., :16] | _up(codes[..., 16:], 4)


def _super_nibbles(quants: Bytes) -> Bytes:
    """Return the low 4 bits of K types, uint8[..., 128], as codes [..., 8, 32]."""
    pairs = quants.reshape(*quants.shape[:-1], 4, 1, 32)
    codes = np.concatenate((pairs & 15, pairs >> 4), axis=-2)
    return codes.reshape(*quants.shape[:-1], 8, 32)


def _scales_and_minima(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Return the 6-bit scales and minima of K types, uint8[..., 12], as bytes [..., 8] each."""
    low, middle, high = packed[..., :4], packed[..., 4:8], packed[..., 8:]
    scales = np.concatenate((low & 63, high & 15 | low >> 6 << 4), axis=-1)
    minima = np.concatenate((middle & 63, high >> 4 | middle >> 6 << 4), axis=-1)
    return scales, minima


def _expand_q4_k(rows: Bytes) -> Words:
    blocks = rows.reshape(len(rows), -1, 144)
    pairs = np.stack(_scales_and_minima(blocks[..., 4:16]), axis=-1)
    nibbles = _nibbles(_super_nibbles(blocks[..., 16:]))
    return _words([blocks[..., :4], np.concatenate((pairs, nibbles), axis=-1)])


def _expand_q6_k(rows: Bytes) -> Words:
    blocks = rows.reshape(len(rows), -1, 210)
    outer = blocks.shape[:2]
    # Halves of 128 values: 64 bytes hold the low bits of values l and l + 64, 32 the high bits.
    low = blocks[..., :128].reshape(*outer, 2, 1, 64)
    low = np.concatenate((low & 15, low >> 4), axis=-2).reshape(*outer, 8, 32)
    high = blocks[..., 128:192].reshape(*outer, 2, 1, 32)
    high = np.concatenate([high >> 2 * part & 3 for part in range(4)], axis=-2)
    # As the kernel has them: bits 2v hold word v of a half of 16 values.
    words = high.reshape(*outer, 8, 2, 4, 4)
    upper = np.bitwise_or.reduce([_up(words[..., word, :], 2 * word) for word in range(4)])
    scales = blocks[..., 192:208].reshape(*outer, 8, 2)
    parts = np.concatenate((scales, _nibbles(low), upper.reshape(*outer, 8, 8)), axis=-1)
    return _words([blocks[..., 208:], parts])


def _as_bytes(scales: NDArray[np.float32], minima: NDArray[np.float32], codes: Bytes) -> Words:
    """Return blocks of 32 byte codes with a float32 scale and minimum each."""
    return _words([np.stack((scales, minima), axis=-1), codes])


def _halves(blocks: Bytes, place: int) -> NDArray[np.float32]:
    halves = np.ascontiguousarray(blocks[..., place : place + 2]).view(np.float16)
    return halves[..., 0].astype(np.float32)


def _five_bits(high: Bytes, quants: Bytes) -> Bytes:
    """Join the four bytes of fifth bits with the nibbles of Q5_0 and Q5_1: codes [..., 32]."""
    bits = np.unpackbits(high, axis=-1, bitorder="little")
    return np.concatenate((quants & 15, quants >> 4), axis=-1) | _up(bits, 4)


def _expand_q5_0(rows: Bytes) -> Words:
    blocks = rows.reshape(len(rows), -1, 22)
    scales = _halves(blocks, 0)
    return _as_bytes(scales, -16 * scales, _five_bits(blocks[..., 2:6], blocks[..., 6:]))


def _expand_q5_1(rows: Bytes) -> Words:
    blocks = rows.reshape(len(rows), -1, 24)
    codes = _five_bits(blocks[..., 4:8], blocks[..., 8:])
    return _as_bytes(_halves(blocks, 0), _halves(blocks, 2), codes)


def _expand_q5_k(rows: Bytes) -> Words:
    blocks = rows.reshape(len(rows), -1, 176)
    scales, minima = _scales_and_minima(blocks[..., 4:16])
    bits = np.stack([blocks[..., 16:48] >> part & 1 for part in range(8)], axis=-2)
    codes = _super_nibbles(blocks[..., 48:]) | _up(bits, 4)
    d, least = _halves(blocks, 0)[..., None], _halves(blocks, 2)[..., None]
    shape = len(rows), -1
    return _as_bytes(
        (d * scales).reshape(shape), (-least * minima).reshape(shape), codes.reshape(*shape, 32)
    )


def _expand_bf16(rows: Bytes) -> Words:
    upper = rows.view(np.uint16)
    return np.stack((np.zeros_like(upper), upper), axis=-1)


# Parts are (words of a row, words that stay side by side): single float16 and pairs of bytes lie
# row by row, vectors hold two words of each row.
_Q4_K_PARTS = [(1, 1), (1, 1)] + [(1, 1), (8, _WORDS)] * 8
_Q6_K_PARTS = [(1, 1)] + [(1, 1), (8, _WORDS), (4, _WORDS)] * 8
_BYTES_PARTS = [(2, _WORDS), (2, _WORDS), (16, _WORDS)]

LAYOUTS: Mapping[str, WeightLayout] = MappingProxyType(
    {
        "Q4_0": _layout(matrix.Q4_0, _blocks(18), [(1, 1), (8, _WORDS)]),
        "Q4_1": _layout(matrix.Q4_1, _blocks(20), [(1, 1), (1, 1), (8, _WORDS)]),
        "Q8_0": _layout(matrix.Q8_0, _blocks(34), [(1, 1), (16, _WORDS)]),
        "Q4_K": _layout(matrix.Q4_K, _expand_q4_k, _Q4_K_PARTS),
        "Q6_K": _layout(matrix.Q6_K, _expand_q6_k, _Q6_K_PARTS),
        "Q5_0": _layout(matrix.BYTES, _expand_q5_0, _BYTES_PARTS),
        "Q5_1": _layout(matrix.BYTES, _expand_q5_1, _BYTES_PARTS),
        "Q5_K": _layout(matrix.BYTES, _expand_q5_k, _BYTES_PARTS),
        "F16": _layout(matrix.FLOAT16, _blocks(2), [(1, 1)]),
        "F32": _layout(matrix.FLOAT32, _blocks(4), [(2, _WORDS)]),
        "BF16": _layout(matrix.FLOAT32, _expand_bf16, [(2, _WORDS)]),
    }
)
