"""A frame of 4-bit numbers in one call: refusals, and whatever lies in the numbers."""

import threading

import numpy as np
import pytest

from kernels.int4_frame import KERNEL, make_inputs
from kernels.kv_tile import INT8


@pytest.mark.parametrize("variant", KERNEL.variants)
def test_what_could_not_be_indexed_is_refused(variant):
    restore = KERNEL.variants[variant]
    restored, stored, places, dtype = make_inputs(np.random.default_rng(0), 3)
    restore(restored, stored, places, dtype)
    with pytest.raises(ValueError, match="multiple of 16"):
        restore(restored[..., :8].copy(), stored, places, dtype)
    with pytest.raises(ValueError, match="even number of tokens"):
        restore(restored[:, :, :7].copy(), stored, places, dtype)
    with pytest.raises(ValueError, match=f"of dtype {INT8}"):
        restore(restored, stored, places, INT8)
    with pytest.raises(ValueError, match="do not lie within"):
        restore(restored, stored[:-65].copy(), places, dtype)
    with pytest.raises(ValueError, match="do not lie within"):
        restore(restored, stored, places - 1, dtype)
    with pytest.raises(ValueError, match="places is int64"):
        restore(restored, stored, places[:2].copy(), dtype)


@pytest.mark.parametrize("size", [2, 3])
def test_scales_that_are_no_numbers_come_out_as_the_reference_has_them(size):
    rng = np.random.default_rng(1)
    restored, stored, places, dtype = make_inputs(rng, size)
    stored[:] = rng.integers(0, 256, stored.size)
    stored.view(np.uint16)[places[:, 2] // 2] = 0x7E00
    expected = restored.copy()
    with np.errstate(all="ignore"):
        KERNEL.reference(expected, stored, places, dtype)
    KERNEL.variants["njit"](restored, stored, places, dtype)
    values = expected.view(np.float16)
    assert np.isnan(values).any()
    np.testing.assert_array_equal(restored.view(np.float16), values)


def test_threads_do_not_share_a_tile():
    """A tile that the loop had let go of was another thread's at once."""
    inputs = [make_inputs(np.random.default_rng(seed), 8) for seed in range(4)]
    expected = [one[0].copy() for one in inputs]
    for out, (_, *others) in zip(expected, inputs, strict=True):
        KERNEL.reference(out, *others)
    failures = []

    def work(number):
        for _ in range(60):
            KERNEL.variants["njit"](*inputs[number])
            if not np.array_equal(inputs[number][0], expected[number]):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
