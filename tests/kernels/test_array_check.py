"""Arrays that a loop could not index are refused by name."""

import numpy as np
import pytest

from kernels.array_check import expect

FLOATS = np.dtype(np.float32)


def test_what_fits_passes():
    expect("keys", np.zeros((2, 3), np.float32), (2, 3), FLOATS)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3)), r"keys is float64\[2, 3\]; it must be float32\[2, 3\]"),
        (np.zeros((3, 2), np.float32), r"keys is float32\[3, 2\]"),
        (np.zeros(6, np.float32), r"keys is float32\[6\]"),
        (np.zeros((3, 2), np.float32).T, "keys is not C-contiguous"),
    ],
)
def test_what_does_not_is_named(array, message):
    with pytest.raises(ValueError, match=message):
        expect("keys", array, (2, 3), FLOATS)
