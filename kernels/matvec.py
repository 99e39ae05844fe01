"""Say what every matrix product here takes: activations, an output, and how the kernels are tested.

Follows: decoding reads each weight once, so a product is one pass over the weights for one token,
or for four tokens at a time when there are more; a token's result never depends on its neighbours.
Leaves out: the products themselves, one file a layout of weights; threads, which each take groups.

A layout stores groups of eight rows (interleave.py): a matrix of 20 rows has 3 groups, the last
padded with zeros, and its output 24 values a token.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple

import numpy as np
from numba import config, njit
from numba.extending import overload

from kernels.dot import BLOCK
from kernels.record import Kernel, register
from kernels.simd import LINE_BYTES, prefetch
from kernels.vector_memory import store
from kernels.vectors import LANES, zeros

TOKENS = 4  # tokens that share one pass over a group's weights
TILE_TOKENS = 64  # their activations stay in the second-level cache while all groups pass
PREFETCH_BYTES = 2048  # 0.92 of the read ceiling on Zen 3; 1,024 gives 0.84, 4,096 0.78

Multiply = Callable[[int, int, int, "Activations", "Output"], None]


class Activations(NamedTuple):
    """Addresses of a batch's activations, quantised (`activation_quant.py`) and plain.

    Attributes
    ----------
    values : int     int8[n_tokens, stride]
    scales : int     float32[n_tokens, stride / 32]
    sums : int       float32[n_tokens, stride / 32], scale times the sum of the block's values
    floats : int     float32[n_tokens, stride], read by layouts of plain numbers only
    n_values : int   a row's length; a multiple of 32 for quantised weights
    stride : int     a multiple of 32, at least ``n_values``
    n_tokens : int
    """

    values: int
    scales: int
    sums: int
    floats: int
    n_values: int
    stride: int
    n_tokens: int


class Output(NamedTuple):
    """Where products go: float32[n_tokens, stride] at an address; stride a multiple of 8."""

    address: int
    stride: int


@njit(cache=True, nogil=True)
def _places(activations, token, block):
    """Return the addresses of a token's block of values, of its scale and of its sum."""
    at = token * (activations.stride // BLOCK) + block
    return activations.values + at * BLOCK, activations.scales + at * 4, activations.sums + at * 4


@njit(cache=True, nogil=True)
def row_place(output, token, group):
    """Return the address of a token's eight products of one group of rows."""
    return output.address + (token * output.stride + group * LANES) * 4


def add_block(layout_type, total, rows, block, places):
    """Add block number ``block`` of the group at ``rows`` to the running sums of eight rows.

    ``layout_type`` is a named tuple whose type, not its value, says how the weights lie;
    ``places`` are the addresses of the activations' values, scale and sum.
    """
    return _ADD[type(layout_type)](total, rows, block, places)


_ADD: dict[type, Callable[..., np.ndarray]] = {}


def register_layout(layout: type, add: Callable[..., np.ndarray]) -> None:
    """Make `add_block` call a layout's own function, interpreted and compiled.

    A function that is passed as an argument would do too, but Numba cannot keep that on disk.
    """
    _ADD[layout] = add
    if config.DISABLE_JIT:
        return

    @overload(add_block)
    def choose(layout_type, total, rows, block, places):
        if getattr(layout_type, "instance_class", None) is layout:
            return lambda layout_type, total, rows, block, places: add(total, rows, block, places)
        return None


@njit(cache=True, nogil=True)
def _one(layout, rows, activations, token):
    """Return one token's products with a group; asks for the weights ahead."""
    total = zeros()
    for block in range(activations.n_values // BLOCK):
        ahead = rows + block * layout.block_bytes + PREFETCH_BYTES
        for line in range(0, layout.block_bytes, LINE_BYTES):
            prefetch(ahead + line)
        total = add_block(layout, total, rows, block, _places(activations, token, block))
    return total


@njit(cache=True, nogil=True)
def _four(layout, rows, activations, token, output, group):
    """Write four tokens' products with a group; the weights are unpacked once."""
    a, b, c, d = zeros(), zeros(), zeros(), zeros()
    for block in range(activations.n_values // BLOCK):
        a = add_block(layout, a, rows, block, _places(activations, token, block))
        b = add_block(layout, b, rows, block, _places(activations, token + 1, block))
        c = add_block(layout, c, rows, block, _places(activations, token + 2, block))
        d = add_block(layout, d, rows, block, _places(activations, token + 3, block))
    store(row_place(output, token, group), a)
    store(row_place(output, token + 1, group), b)
    store(row_place(output, token + 2, group), c)
    store(row_place(output, token + 3, group), d)


@njit(cache=True, nogil=True)
def multiply_groups(layout, weights, first, last, activations, output):
    """Write the products of the groups ``first`` to ``last`` of a matrix at an address.

    ``layout.block_bytes`` is what 32 weights of eight rows take, on average.
    """
    group_bytes = activations.n_values // BLOCK * layout.block_bytes
    for start in range(0, activations.n_tokens, TILE_TOKENS):
        stop = min(start + TILE_TOKENS, activations.n_tokens)
        for group in range(first, last):
            rows = weights + group * group_bytes
            token = start
            while token + TOKENS <= stop:
                _four(layout, rows, activations, token, output, group)
                token += TOKENS
            while token < stop:
                total = _one(layout, rows, activations, token)
                store(row_place(output, token, group), total)
                token += 1


def address_of(array: np.ndarray) -> int:
    """Return where an array lies; a kernel that gets it must not outlive the array."""
    return int(array.ctypes.data)


def _checked(
    packed: np.ndarray, values: np.ndarray, scales: np.ndarray, sums: np.ndarray, out: np.ndarray
) -> None:
    n_tokens, n_values = values.shape
    expected = {
        "values": (values, np.int8, (n_tokens, n_values)),
        "scales": (scales, np.float32, (n_tokens, n_values // BLOCK)),
        "sums": (sums, np.float32, (n_tokens, n_values // BLOCK)),
        "out": (out, np.float32, (n_tokens, len(packed) * LANES)),
        "packed": (packed, np.uint8, packed.shape),
    }
    for name, (array, dtype, shape) in expected.items():
        if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}, contiguous: "
                f"{array.flags.c_contiguous}; this product needs {np.dtype(dtype)}{list(shape)}"
            )


def _on_arrays(multiply: Multiply) -> Callable[..., None]:
    """Return a product over arrays instead of addresses, as records and tests call it."""

    @wraps(multiply)
    def run(
        packed: np.ndarray,
        values: np.ndarray,
        scales: np.ndarray,
        sums: np.ndarray,
        out: np.ndarray,
    ) -> None:
        _checked(packed, values, scales, sums, out)
        n_tokens, n_values = values.shape
        places = [address_of(array) for array in (values, scales, sums)]
        activations = Activations(*places, 0, n_values, n_values, n_tokens)
        output = Output(address_of(out), out.shape[1])
        multiply(address_of(packed), 0, len(packed), activations, output)

    return run


def _close(expected: np.ndarray, got: np.ndarray) -> None:
    """Assert that sums in float32 are those in float64 but for rounding."""
    size = 1 + np.abs(expected).max(initial=0)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * size)


def by_rows(blocks: np.ndarray) -> np.ndarray:
    """Return any[groups, blocks, 8, 32] as rows, [8 * groups, 32 * blocks]."""
    groups, n_blocks, lanes, values = blocks.shape
    return blocks.transpose(0, 2, 1, 3).reshape(groups * lanes, n_blocks * values)


def random_halves(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return the bytes of random float16: uint8[*shape[:-1], 2 * shape[-1]]."""
    return rng.standard_normal(shape).astype(np.float16).view(np.uint8)


def quantized(rng: np.random.Generator, n_tokens: int, n_values: int) -> tuple[np.ndarray, ...]:
    """Return random activations: values, scales and sums as `Activations` describes them."""
    values = rng.integers(-127, 128, (n_tokens, n_values), dtype=np.int8)
    scales = rng.random((n_tokens, n_values // BLOCK), np.float32)
    sums = values.reshape(n_tokens, -1, BLOCK).sum(axis=2, dtype=np.float32) * scales
    return values, scales, sums


def register_matvec(
    name: str,
    unpack: Callable[[np.ndarray], np.ndarray],
    multiply: Multiply,
    make_packed: Callable[[np.random.Generator, int], np.ndarray],
) -> Kernel:
    """Register the product of one layout of quantised weights.

    Parameters
    ----------
    name : str               such as ``"matvec_q4_1"``
    unpack : callable        packed uint8[groups, ...] -> float64[rows, n_values], plain NumPy
    multiply : callable      the compiled product over addresses
    make_packed : callable   (rng, groups) -> packed weights of 1 or 2 blocks a row
    """

    def reference(
        packed: np.ndarray,
        values: np.ndarray,
        scales: np.ndarray,
        sums: np.ndarray,
        out: np.ndarray,
    ) -> None:
        activations = values.astype(np.float64) * np.repeat(scales, BLOCK, axis=1)
        out[:] = activations @ unpack(packed).T

    def numpy(packed, values, scales, sums, out):
        activations = values * np.repeat(scales, BLOCK, axis=1)
        np.matmul(activations, unpack(packed).astype(np.float32).T, out=out)

    def make_inputs(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
        groups = -(-size // LANES)
        packed = make_packed(rng, groups)
        n_values = unpack(make_packed(rng, 1)).shape[1]
        n_tokens = 1 + size % 7
        activations = quantized(rng, n_tokens, n_values)
        return packed, *activations, np.zeros((n_tokens, groups * LANES), np.float32)

    def bytes_moved(packed, values, scales, sums, out) -> int:
        return packed.nbytes + values.nbytes + scales.nbytes + sums.nbytes + out.nbytes

    reference.__module__ = unpack.__module__  # where the record is
    return register(
        Kernel(
            name=name,
            reference=reference,
            baseline="numpy",
            variants={"numpy": numpy, "njit_integer": _on_arrays(multiply)},
            make_inputs=make_inputs,
            outputs=(4,),
            check=_close,
            bytes_moved=bytes_moved,
            sizes=(0, 1, 8, 17, 36),
        )
    )
