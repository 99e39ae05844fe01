"""Every variant of every kernel agrees with its reference, at every size, and spares its inputs."""

import numpy as np
import pytest

from kernels.record import Kernel, all_kernels

CASES = [
    pytest.param(kernel, variant, size, id=f"{kernel.name}-{variant}-{size}")
    for kernel in all_kernels().values()
    for variant in kernel.variants
    for size in kernel.sizes
]


def _copies(inputs):
    return tuple(item.copy() if isinstance(item, np.ndarray) else item for item in inputs)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("kernel", "variant", "size"), CASES)
def test_variant_equals_reference(kernel: Kernel, variant: str, size: int, seed: int):
    inputs = kernel.make_inputs(np.random.default_rng(seed), size)
    expected, got = _copies(inputs), _copies(inputs)
    kernel.reference(*expected)
    kernel.variants[variant](*got)
    for position, (want, have, before) in enumerate(zip(expected, got, inputs, strict=True)):
        if position in kernel.outputs:
            kernel.check(want, have)
        else:
            np.testing.assert_array_equal(have, before)


@pytest.mark.parametrize("kernel", all_kernels().values(), ids=all_kernels())
def test_inputs_follow_their_seed(kernel: Kernel):
    size = max(kernel.sizes)
    same, again = (kernel.make_inputs(np.random.default_rng(7), size) for _ in range(2))
    for one, other in zip(same, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kernel", all_kernels().values(), ids=all_kernels())
def test_sizes_reach_from_nothing_to_beyond_a_block(kernel: Kernel):
    assert {0, 1} <= set(kernel.sizes)
    assert any(size % 2 for size in kernel.sizes if size > 1)
    small, large = (
        kernel.bytes_moved(*kernel.make_inputs(np.random.default_rng(0), size))
        for size in (1, max(kernel.sizes))
    )
    assert large > small > 0
