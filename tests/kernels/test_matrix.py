"""A product by the number of its layout: each number is the layout it says."""

import numpy as np
import pytest

from kernels import (
    matrix,
    matvec_bytes,
    matvec_floats,
    matvec_q4_0,
    matvec_q4_1,
    matvec_q4_k,
    matvec_q6_k,
    matvec_q8_0,
)
from kernels.matvec import Activations, Output, address_of

QUANTIZED = {
    matrix.Q4_0: matvec_q4_0,
    matrix.Q4_1: matvec_q4_1,
    matrix.Q8_0: matvec_q8_0,
    matrix.Q4_K: matvec_q4_k,
    matrix.Q6_K: matvec_q6_k,
    matrix.BYTES: matvec_bytes,
}


@pytest.mark.parametrize("number", QUANTIZED)
def test_quantised_layouts(number):
    kernel = QUANTIZED[number].KERNEL
    packed, values, scales, sums, out = kernel.make_inputs(np.random.default_rng(0), 9)
    expected = out.copy()
    kernel.reference(packed, values, scales, sums, expected)
    n_tokens, n_values = values.shape
    places = map(address_of, (values, scales, sums))
    activations = Activations(*places, 0, n_values, n_values, n_tokens)
    output = Output(address_of(out), out.shape[1])
    matrix.multiply(number, address_of(packed), (0, len(packed)), activations, output)
    kernel.check(expected, out)
    block_values, block_bytes = matrix.BLOCKS[number]
    assert packed[0].nbytes == n_values // block_values * block_bytes


@pytest.mark.parametrize(("number", "size"), [(matrix.FLOAT16, 9), (matrix.FLOAT32, 8)])
def test_plain_layouts(number, size):
    kernel = matvec_floats.KERNEL
    packed, values, out = kernel.make_inputs(np.random.default_rng(0), size)
    expected = out.copy()
    kernel.reference(packed, values, expected)
    n_tokens, n_values = values.shape
    activations = Activations(0, 0, 0, address_of(values), n_values, n_values, n_tokens)
    output = Output(address_of(out), out.shape[1])
    matrix.multiply(number, address_of(packed), (0, len(packed)), activations, output)
    kernel.check(expected, out)
    assert packed[0].nbytes == n_values * matrix.BLOCKS[number][1]
