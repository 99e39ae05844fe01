"""What int4 kernels promise, whichever way their groups run: by rows or by channels."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.record import Kernel


class Int4Contract:
    """Inherit, and name both kernels and the axis along which a group's values lie."""

    quantize: Kernel
    restore: Kernel
    axis: int

    def pytest_generate_tests(self, metafunc):
        """Read back what each variant wrote, the compiled one's by every way there is."""
        if "variant" in metafunc.fixturenames:
            compiled = [("njit", name) for name in metafunc.cls.restore.variants]
            metafunc.parametrize(("variant", "restored_by"), [("numpy", "numpy"), *compiled])

    def read_back(self, variant, restored_by, source):
        """Return what float32[n, m] reads back as, and each group's step."""
        shape = list(source.shape)
        n_groups = shape[1 - self.axis]
        shape[self.axis] //= 2
        numbers = np.zeros(shape, np.uint8)
        offsets, steps = np.zeros((2, n_groups), np.uint16)
        self.quantize.variants[variant](numbers, offsets, steps, source)
        restored = np.zeros_like(source)
        self.restore.variants[restored_by](restored, numbers, offsets, steps)
        wide = steps.view(np.float16).astype(np.float64)
        return numbers, restored, np.expand_dims(wide, self.axis)

    def test_packing_by_hand(self, variant, restored_by):
        source = np.array([[0, 15, 3, 7]], np.float32)
        if self.axis == 0:
            source = np.ascontiguousarray(source.T)
        numbers, restored, _ = self.read_back(variant, restored_by, source)
        assert numbers.ravel().tolist() == [3 << 4 | 0, 7 << 4 | 15]
        np.testing.assert_array_equal(restored, source)

    @pytest.mark.parametrize("shape", [(64, 64), (6, 10), (2, 128)])
    def test_no_value_is_off_by_more_than_half_a_step(self, variant, restored_by, shape):
        rng = np.random.default_rng(0)
        source = (rng.standard_normal(shape) + rng.integers(-5, 6, shape[1])).astype(np.float32)
        _, restored, steps = self.read_back(variant, restored_by, source)
        # Offsets are rounded to float16, of at most 8 here.
        assert (np.abs(restored - source) <= steps * (0.5 + 1e-5) + 2.0**-8).all()

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e5])
    def test_only_its_own_group_reads_back_as_nan(self, variant, restored_by, value):
        source = np.ones((16, 16), np.float32)
        source[3, 4] = value
        _, restored, _ = self.read_back(variant, restored_by, source)
        wrong = np.zeros((16, 16), bool)
        wrong[(3, slice(None)) if self.axis == 1 else (slice(None), 4)] = True
        np.testing.assert_array_equal(np.isnan(restored), wrong)
        np.testing.assert_array_equal(restored[~wrong], 1)

    @pytest.mark.parametrize("name", ["quantize", "restore"])
    @pytest.mark.parametrize("position", range(4))
    def test_mismatched_arrays_are_refused(self, name, position):
        kernel = getattr(self, name)
        arrays = list(kernel.make_inputs(np.random.default_rng(0), 7))
        arrays[position] = arrays[position].astype(np.float64)
        with pytest.raises(ValueError, match="must be"):
            kernel.variants["njit"](*arrays)

    def test_odd_groups_are_refused(self):
        arrays = (np.zeros((3, 3), np.uint8), np.zeros(3, np.uint16), np.zeros(3, np.uint16))
        with pytest.raises(ValueError, match="an even number"):
            self.quantize.variants["njit"](*arrays, np.zeros((3, 3), np.float32))
