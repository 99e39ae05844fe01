"""int8 and int4: error bounds, packing by hand, what is not a number, refusals."""

import numpy as np
import pytest

from kernels.quantize import INT4, INT8, int4_values, int8_values

KERNELS = {"int8": (INT8, int8_values), "int4": (INT4, int4_values)}
cases = pytest.mark.parametrize(
    ("name", "variant"),
    [(name, variant) for name, (kernel, _) in KERNELS.items() for variant in kernel.variants],
)
both = pytest.mark.parametrize("name", KERNELS)
variants = pytest.mark.parametrize("variant", INT4.variants)


def quantised(name, variant, source):
    """Return what groups of float16 read back as, and their scales as float32."""
    kernel, read_back = KERNELS[name]
    packed = 1 if name == "int8" else 2
    shape = (source.shape[0], source.shape[1] // packed)
    values = np.zeros(shape, np.int8 if packed == 1 else np.uint8)
    scales = np.zeros(len(source), np.uint16)
    kernel.variants[variant](values, scales, source.view(np.uint16))
    return read_back(values, scales), scales.view(np.float16).astype(np.float32)


@cases
@pytest.mark.parametrize("group_values", [2, 16, 32, 128])
def test_no_value_is_off_by_more_than_half_a_step(name, variant, group_values):
    rng = np.random.default_rng(group_values)
    factors = 10.0 ** rng.integers(-6, 4, (200, 1))
    source = (rng.standard_normal((200, group_values)) * factors).astype(np.float16)
    got, scales = quantised(name, variant, source)
    assert (np.abs(got - source.astype(np.float32)) <= scales[:, None] * (0.5 + 1e-5)).all()


@cases
def test_smaller_groups_are_nearer(name, variant):
    source = np.random.default_rng(0).standard_t(3, (64, 128)).astype(np.float16)
    errors = []
    for group_values in (128, 32):
        groups = source.reshape(-1, group_values)
        got, _ = quantised(name, variant, groups)
        errors.append(np.abs(got - groups.astype(np.float32)).mean())
    assert errors[1] < errors[0]


@variants
def test_int4_packs_the_first_half_low(variant):
    source = np.array([[7, -7, 1, 0], [0, 0, 0, 0]], np.float16)
    values, scales = np.zeros((2, 2), np.uint8), np.zeros(2, np.uint16)
    INT4.variants[variant](values, scales, source.view(np.uint16))
    # A seventh is rounded up to the next float16: 7 steps of it are 7 or a little more.
    assert values.tolist() == [[9 << 4 | 15, 8 << 4 | 1], [0x88, 0x88]]
    assert scales[1] == 0


@cases
def test_groups_with_a_nan_or_an_infinity_read_back_as_nan(name, variant):
    source = np.ones((4, 8), np.float16)
    source[0, 3], source[1, 0], source[2, 7] = np.nan, np.inf, -np.inf
    got, _ = quantised(name, variant, source)
    assert np.isnan(got[:3]).all()
    np.testing.assert_allclose(got[3], 1, rtol=1e-3)


@both
def test_refusals_name_what_is_wrong(name):
    kernel, _ = KERNELS[name]
    values, scales, source = kernel.make_inputs(np.random.default_rng(0), 3)
    run = kernel.variants["njit"]
    with pytest.raises(ValueError, match="source is float16"):
        run(values, scales, source.view(np.float16))
    with pytest.raises(ValueError, match="values is"):
        run(values[:, :1], scales, source)
    with pytest.raises(ValueError, match=r"scales is uint16\[2\]; it must be uint16\[3\]"):
        run(values, scales[:2], source)


def test_int4_needs_an_even_group():
    odd = np.zeros((1, 3), np.uint16)
    with pytest.raises(ValueError, match="groups a multiple of 2"):
        INT4.variants["njit"](np.zeros((1, 1), np.uint8), np.zeros(1, np.uint16), odd)
