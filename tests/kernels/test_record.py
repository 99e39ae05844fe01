"""The kernel record and its registry."""

import sys

import numpy as np
import pytest

from kernels import record
from kernels.record import Kernel, all_kernels, exact, register


def double(source, result):
    result[:] = 2 * source


def make(**changes) -> Kernel:
    fields = {
        "name": "double",
        "reference": double,
        "baseline": "numpy",
        "variants": {"numpy": double},
        "make_inputs": lambda rng, size: (rng.random(size), np.zeros(size)),
        "outputs": (1,),
        "check": exact,
        "bytes_moved": lambda source, result: source.nbytes + result.nbytes,
        "sizes": (0, 1, 3),
    }
    return Kernel(**(fields | changes))


@pytest.fixture
def empty_registry(monkeypatch):
    monkeypatch.setattr(record, "_KERNELS", {})


def test_a_baseline_must_be_a_variant():
    with pytest.raises(ValueError, match="baseline 'fast' is not one of its variants"):
        make(baseline="fast")


def test_register_returns_the_kernel_and_refuses_its_name_twice(empty_registry):
    kernel = make()
    assert register(kernel) is kernel
    with pytest.raises(ValueError, match="'double' is registered already"):
        register(make())


def test_all_kernels_finds_every_family_by_name():
    kernels = all_kernels()
    assert {"copy", "kv_store", "read", "tile"} <= set(kernels)
    assert list(kernels) == sorted(kernels)
    values = [
        value
        for name, module in list(sys.modules.items())
        if name.startswith("kernels.")
        for value in vars(module).values()
    ]
    # A file of many formats holds its records by name.
    values += [value for table in values if isinstance(table, dict) for value in table.values()]
    for name, kernel in kernels.items():
        assert kernel.name == name
        assert any(value is kernel for value in values)


def test_exact_sees_one_bit_where_numbers_are_equal():
    exact(np.array([0.0, np.nan]), np.array([0.0, np.nan]))
    with pytest.raises(AssertionError):
        exact(np.array([0.0]), np.array([-0.0]))
