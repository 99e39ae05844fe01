"""The product of plain numbers: the same bits in any batch; refusals."""

import numpy as np
import pytest

from kernels.matvec_floats import KERNEL

product = KERNEL.variants["njit_columns"]


@pytest.mark.parametrize("size", [20, 27])  # float32, float16
def test_a_tokens_bits_do_not_depend_on_its_batch(size):
    packed, values, together = KERNEL.make_inputs(np.random.default_rng(0), size)
    product(packed, values, together)
    assert len(values) > 4
    for token in range(len(values)):
        alone = np.zeros_like(together[:1])
        product(packed, values[token : token + 1].copy(), alone)
        np.testing.assert_array_equal(alone[0], together[token])


def test_refusals_name_what_is_wrong():
    packed, values, out = KERNEL.make_inputs(np.random.default_rng(0), 8)
    with pytest.raises(ValueError, match=r"packed is float64"):
        product(packed.astype(np.float64), values, out)
    with pytest.raises(ValueError, match=r"float16\[groups, 18, 8\]"):
        product(packed, values[:, :18].copy(), out)
    with pytest.raises(ValueError, match="values is float64"):
        product(packed, values.astype(np.float64), out)
    with pytest.raises(ValueError, match=r"out has the shape \(2, 24\)"):
        product(packed, values, np.zeros((2, 24), np.float32))
