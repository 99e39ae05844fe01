"""Change valid files in the ways that break readers; each change follows from its seed and number.

Follows: what the advisories of 2024-2026 were about: counts, lengths, types, offsets and sizes that
are extreme, swapped or cut off.
Leaves out: whether a changed file is still valid; some are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

_WIDTHS = (1, 2, 4, 8)
_EDGES = (0, 1, 2, 7, 8, 9, 13, 31, 32, 63, 64, 127, 128, 255, 256, 999, 1024, 65_535, 65_536)
# Beside powers of two lie what wraps, what is negative, and what only just fits.
_POWERS = (15, 16, 24, 30, 31, 32, 40, 47, 48, 52, 61, 62, 63, 64)
_MOST_CHANGES = 4
# Most changes go into the header, which is a tenth to a half of these files.
_IN_HEADER_FRAC = 0.9

Change = Callable[[random.Random, bytearray, int], None]


def mutated(files: Sequence[bytes], header_bytes: Sequence[int], seed: int, number: int) -> bytes:
    """Return one changed file.

    Parameters
    ----------
    files : sequence of bytes         valid files
    header_bytes : sequence of int    where each one's tensor data begins
    seed, number : int                the same ones give the same file
    """
    rng = random.Random(f"{seed}/{number}")
    which = rng.randrange(len(files))
    file = bytearray(files[which])
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        within = len(file)
        if rng.random() < _IN_HEADER_FRAC:
            within = min(within, header_bytes[which])
        rng.choice(_CHANGES)(rng, file, within)
    return bytes(file)


def _flip(rng: random.Random, file: bytearray, within: int) -> None:
    if within:
        file[rng.randrange(within)] ^= 1 << rng.randrange(8)


def _byte(rng: random.Random, file: bytearray, within: int) -> None:
    if within:
        file[rng.randrange(within)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _edge(rng: random.Random, file: bytearray, within: int) -> None:
    """Write an extreme integer over some place."""
    width = rng.choice(_WIDTHS)
    value = rng.choice(_EDGES) if rng.random() < 0.5 else (1 << rng.choice(_POWERS))
    value += rng.choice((-1, 0, 0, 1))
    value *= rng.choice((1, 1, 1, -1))
    _write(file, rng.randrange(max(1, within)), width, value)


def _add(rng: random.Random, file: bytearray, within: int) -> None:
    """Change a small integer by a little: lengths and counts that are off by one."""
    at, width = rng.randrange(max(1, within)), rng.choice(_WIDTHS)
    value = int.from_bytes(file[at : at + width], "little")
    _write(file, at, width, value + rng.choice((-32, -8, -1, 1, 8, 32)))


def _write(file: bytearray, at: int, width: int, value: int) -> None:
    if at + width <= len(file):
        file[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")


def _cut(rng: random.Random, file: bytearray, within: int) -> None:
    del file[rng.randrange(within + 1) :]


def _remove(rng: random.Random, file: bytearray, within: int) -> None:
    at = rng.randrange(max(1, within))
    del file[at : at + rng.choice((1, 4, 8, rng.randrange(1, 64)))]


def _insert(rng: random.Random, file: bytearray, within: int) -> None:
    at = rng.randrange(max(1, within))
    file[at:at] = rng.randbytes(rng.choice((1, 4, 8, rng.randrange(1, 64))))


def _repeat(rng: random.Random, file: bytearray, within: int) -> None:
    """Put a piece of the file in another place: keys and tensors that stand twice."""
    start = rng.randrange(max(1, within))
    piece = file[start : start + rng.randrange(1, 128)]
    at = rng.randrange(max(1, within))
    if rng.random() < 0.5:
        file[at:at] = piece
    else:
        file[at : at + len(piece)] = piece


def _swap(rng: random.Random, file: bytearray, within: int) -> None:
    width = rng.choice(_WIDTHS)
    one, other = (rng.randrange(max(1, within)) for _ in range(2))
    if max(one, other) + width <= len(file):
        first, second = file[one : one + width], file[other : other + width]
        file[one : one + width], file[other : other + width] = second, first


_CHANGES: tuple[Change, ...] = (
    _flip,
    _byte,
    _edge,
    _edge,
    _edge,
    _add,
    _cut,
    _remove,
    _insert,
    _repeat,
    _swap,
)
