"""Multiply activations with a matrix of any layout, by its number.

Follows: one table row a matrix, so that a compiled loop over layers can meet all layouts.
Leaves out: the layouts themselves (the matvec files) and how a matrix is brought into one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from numba import njit

from kernels import (
    matvec_bytes,
    matvec_floats,
    matvec_q4_0,
    matvec_q4_1,
    matvec_q4_k,
    matvec_q6_k,
    matvec_q8_0,
)
from kernels.by_address import Entry
from kernels.matvec import Activations, Output

Q4_0, Q4_1, Q8_0, Q4_K, Q6_K, BYTES, FLOAT16, FLOAT32 = range(8)

# Layout -> (weights of a row in a block, bytes of eight rows' block).
BLOCKS: Mapping[int, tuple[int, int]] = MappingProxyType(
    {
        Q4_0: (32, matvec_q4_0.BLOCK_BYTES),
        Q4_1: (32, matvec_q4_1.BLOCK_BYTES),
        Q8_0: (32, matvec_q8_0.BLOCK_BYTES),
        Q4_K: (256, matvec_q4_k.SUPERBLOCK_BYTES),
        Q6_K: (256, matvec_q6_k.SUPERBLOCK_BYTES),
        BYTES: (32, matvec_bytes.BLOCK_BYTES),
        FLOAT16: (1, 16),
        FLOAT32: (1, 32),
    }
)

_multiply_q4_0, _multiply_q4_1 = matvec_q4_0.multiply, matvec_q4_1.multiply
_multiply_q4_k, _multiply_q6_k = matvec_q4_k.multiply, matvec_q6_k.multiply
_multiply_q8_0, _multiply_bytes = matvec_q8_0.multiply, matvec_bytes.multiply
_multiply_floats = matvec_floats.multiply


@njit(cache=True, nogil=True)
def multiply(layout, weights, groups, activations, output):
    """Write the products of a range of groups (first, last) of a matrix.

    Parameters
    ----------
    layout : int               one of the numbers above
    weights : int              address of the matrix
    groups : tuple             first, last
    activations : Activations
    output : Output
    """
    first, last = groups
    if layout == Q4_1:
        _multiply_q4_1(weights, first, last, activations, output)
    elif layout == Q8_0:
        _multiply_q8_0(weights, first, last, activations, output)
    elif layout == Q4_0:
        _multiply_q4_0(weights, first, last, activations, output)
    elif layout == Q4_K:
        _multiply_q4_k(weights, first, last, activations, output)
    elif layout == Q6_K:
        _multiply_q6_k(weights, first, last, activations, output)
    elif layout == BYTES:
        _multiply_bytes(weights, first, last, activations, output)
    else:
        _multiply_floats(weights, layout == FLOAT16, groups, activations, output)


def _product(
    layout,
    weights,
    first,
    last,
    values,
    scales,
    sums,
    floats,
    n_values,
    stride,
    n_tokens,
    address,
    output_stride,
):
    activations = Activations(values, scales, sums, floats, n_values, stride, n_tokens)
    multiply(layout, weights, (first, last), activations, Output(address, output_stride))


# `multiply`, for callers that are not to contain it: the fields of its arguments in their order.
PRODUCT = Entry(_product)
