"""Say in which layout each GGUF weight type is multiplied, and how its blocks get there.

Follows: ggml's block layouts; the kernels' layouts of eight interleaved rows (kernels/matvec_*.py).
Leaves out: spreading and interleaving themselves (kernels/weight_spread.py, kernels/interleave.py)
and memory (weights.py).

Q4_0, Q4_1, Q8_0, F16 and F32 are interleaved as they are; bfloat16 is widened to float32. The K
types' 6-bit scales are spread over bytes first, and the Q5 types' values, so that no loop has to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from kernels import matrix, weight_spread
from kernels.weight_spread import Spread

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


def _spread(spread: Spread, block_bytes: int) -> Callable[[Bytes], Words]:
    def expand(rows: Bytes) -> Words:
        n_bytes = rows.size // spread.packed_bytes * spread.spread_bytes
        blocks = np.empty((len(rows), n_bytes // len(rows)), np.uint8)
        spread.njit(np.ascontiguousarray(rows).reshape(-1), blocks.reshape(-1))
        return blocks.view(np.uint16).reshape(len(rows), -1, block_bytes // 2)

    return expand


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
        "Q4_K": _layout(matrix.Q4_K, _spread(weight_spread.Q4_K, 148), _Q4_K_PARTS),
        "Q6_K": _layout(matrix.Q6_K, _spread(weight_spread.Q6_K, 210), _Q6_K_PARTS),
        "Q5_0": _layout(matrix.BYTES, _spread(weight_spread.Q5_0, 40), _BYTES_PARTS),
        "Q5_1": _layout(matrix.BYTES, _spread(weight_spread.Q5_1, 40), _BYTES_PARTS),
        "Q5_K": _layout(matrix.BYTES, _spread(weight_spread.Q5_K, 40), _BYTES_PARTS),
        "F16": _layout(matrix.FLOAT16, _blocks(2), [(1, 1)]),
        "F32": _layout(matrix.FLOAT32, _blocks(4), [(2, _WORDS)]),
        "BF16": _layout(matrix.FLOAT32, _expand_bf16, [(2, _WORDS)]),
    }
)
