"""Restoring float16 from int8: by hand, NaNs, refusals."""

import numpy as np
import pytest

from kernels.dequantize_int8 import CHANNELS, GROUPS


@pytest.mark.parametrize("variant", GROUPS.variants)
def test_groups_by_hand(variant):
    values = np.array([[1, -2, 127], [3, 0, -127]], np.int8)
    scales = np.array([0.5, np.nan], np.float16).view(np.uint16)
    restored = np.zeros((2, 3), np.uint16)
    GROUPS.variants[variant](restored, values, scales)
    assert restored.view(np.float16)[0].tolist() == [0.5, -1, 63.5]
    assert np.isnan(restored.view(np.float16)[1]).all()


@pytest.mark.parametrize("variant", CHANNELS.variants)
def test_channels_by_hand(variant):
    values = np.array([[1, 1], [2, -127]], np.int8)
    scales = np.array([0.5, 1024], np.float16).view(np.uint16)
    restored = np.zeros((2, 2), np.uint16)
    CHANNELS.variants[variant](restored, values, scales)
    assert restored.view(np.float16).tolist() == [[0.5, 1024], [1, -np.inf]]


@pytest.mark.parametrize("kernel", [GROUPS, CHANNELS])
@pytest.mark.parametrize("position", range(3))
def test_mismatched_arrays_are_refused(kernel, position):
    arrays = list(kernel.make_inputs(np.random.default_rng(0), 7))
    arrays[position] = np.repeat(arrays[position], 2, axis=arrays[position].ndim - 1)
    with pytest.raises(ValueError, match="must be"):
        kernel.variants["njit"](*arrays)


@pytest.mark.parametrize("kernel", [GROUPS, CHANNELS])
def test_a_vector_of_values_is_refused(kernel):
    with pytest.raises(ValueError, match="pass int8"):
        kernel.variants["njit"](
            np.zeros(3, np.uint16), np.zeros(3, np.int8), np.zeros(1, np.uint16)
        )
