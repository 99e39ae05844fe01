"""int4 by group: packing by hand, error bound, what is not a number, refusals."""

import numpy as np
import pytest

from kernels.int4_rows import QUANTIZE, RESTORE

pairs = pytest.mark.parametrize(
    ("variant", "restore"),
    [("numpy", "numpy"), *((variant, name) for variant in ("njit",) for name in RESTORE.variants)],
)
AXIS = 1  # along which a group's values lie


def read_back(variant, restore, source):
    """Return what float32[n, m] reads back as, and each group's step."""
    shape = list(source.shape)
    n_groups = shape[1 - AXIS]
    shape[AXIS] //= 2
    numbers = np.zeros(shape, np.uint8)
    offsets, steps = np.zeros((2, n_groups), np.uint16)
    QUANTIZE.variants[variant](numbers, offsets, steps, source)
    restored = np.zeros_like(source)
    RESTORE.variants[restore](restored, numbers, offsets, steps)
    return numbers, restored, np.expand_dims(steps.view(np.float16).astype(np.float64), AXIS)


@pairs
def test_packing_by_hand(variant, restore):
    source = np.array([[0, 15, 3, 7]], np.float32)
    if AXIS == 0:
        source = np.ascontiguousarray(source.T)
    numbers, restored, _ = read_back(variant, restore, source)
    assert numbers.ravel().tolist() == [3 << 4 | 0, 7 << 4 | 15]
    np.testing.assert_array_equal(restored, source)


@pairs
@pytest.mark.parametrize("shape", [(64, 64), (6, 10), (2, 128)])
def test_no_value_is_off_by_more_than_half_a_step(variant, restore, shape):
    rng = np.random.default_rng(0)
    source = (rng.standard_normal(shape) + rng.integers(-5, 6, shape[1])).astype(np.float32)
    _, restored, steps = read_back(variant, restore, source)
    # Offsets are rounded to float16, of at most 8 here.
    assert (np.abs(restored - source) <= steps * (0.5 + 1e-5) + 2.0**-8).all()


@pairs
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e5])
def test_only_its_own_group_reads_back_as_nan(variant, restore, value):
    source = np.ones((16, 16), np.float32)
    source[3, 4] = value
    _, restored, _ = read_back(variant, restore, source)
    wrong = np.zeros((16, 16), bool)
    wrong[(3, slice(None)) if AXIS == 1 else (slice(None), 4)] = True
    np.testing.assert_array_equal(np.isnan(restored), wrong)
    np.testing.assert_array_equal(restored[~wrong], 1)


@pytest.mark.parametrize("kernel", [QUANTIZE, RESTORE])
@pytest.mark.parametrize("position", range(4))
def test_mismatched_arrays_are_refused(kernel, position):
    arrays = list(kernel.make_inputs(np.random.default_rng(0), 7))
    arrays[position] = arrays[position].astype(np.float64)
    with pytest.raises(ValueError, match="must be"):
        kernel.variants["njit"](*arrays)


def test_odd_groups_are_refused():
    arrays = (np.zeros((3, 3), np.uint8), np.zeros(3, np.uint16), np.zeros(3, np.uint16))
    with pytest.raises(ValueError, match="an even number"):
        QUANTIZE.variants["njit"](*arrays, np.zeros((3, 3), np.float32))
