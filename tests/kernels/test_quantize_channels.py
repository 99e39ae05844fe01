"""int8 by channel: error bound, channels that differ, what is not a number, refusals."""

import numpy as np
import pytest

from kernels.dequantize_int8 import CHANNELS
from kernels.quantize_channels import KERNEL

variants = pytest.mark.parametrize("variant", KERNEL.variants)


def read_back(variant, source):
    values, scales = np.zeros(source.shape, np.int8), np.zeros(source.shape[1], np.uint16)
    KERNEL.variants[variant](values, scales, source.view(np.uint16))
    restored = np.zeros(source.shape, np.uint16)
    CHANNELS.variants["njit"](restored, values, scales)
    return restored.view(np.float16).astype(np.float64), scales.view(np.float16).astype(np.float64)


@variants
def test_no_value_is_off_by_more_than_half_its_channels_scale(variant):
    rng = np.random.default_rng(0)
    source = rng.standard_normal((64, 40)) * 10.0 ** rng.integers(-4, 4, 40)
    source = source.astype(np.float16)
    got, scales = read_back(variant, source)
    error = np.abs(got - source.astype(np.float64))
    assert (error <= scales * (0.5 + 1e-4) + np.abs(source) * 2.0**-11).all()


@variants
def test_a_large_channel_leaves_the_others_alone(variant):
    source = np.full((8, 3), 1, np.float16)
    source[:, 1] = 1000
    got, _ = read_back(variant, source)
    np.testing.assert_allclose(got, source, rtol=2e-3)


@variants
def test_only_a_channel_with_a_nan_or_an_infinity_reads_back_as_nan(variant):
    source = np.ones((4, 4), np.float16)
    source[1, 1], source[2, 2], source[:, 3] = np.nan, -np.inf, 0
    got, scales = read_back(variant, source)
    assert np.isnan(got).all(axis=0).tolist() == [False, True, True, False]
    assert scales[3] == 0


@pytest.mark.parametrize("position", range(3))
def test_mismatched_arrays_are_refused(position):
    arrays = list(KERNEL.make_inputs(np.random.default_rng(0), 7))
    arrays[position] = arrays[position].astype(np.float32)
    with pytest.raises(ValueError, match=r"must be|pass"):
        KERNEL.variants["njit"](*arrays)
