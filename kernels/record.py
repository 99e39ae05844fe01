"""Tie a kernel's reference, variants, inputs, check and traffic into one record.

Follows: numba/numba-examples' bench.yaml (c423f54), with functions instead of strings, so that a
rename breaks loudly.
Leaves out: timing (workbench/benchmark) and statistics.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Inputs = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel family: what it computes, each way to compute it, how to tell that they agree.

    Attributes
    ----------
    name : str                      unique name of the family, e.g. ``"copy"``
    reference : callable            the definition: plain Python/NumPy, no Numba, no early-outs
    baseline : str                  the variant that speed claims are stated against
    variants : mapping              technique name -> callable, all with the reference's signature
    make_inputs : callable          ``(rng, size) -> inputs``; seeded, C-contiguous
    outputs : tuple of int          positions in ``inputs`` that the kernel writes
    check : callable                ``(expected, got) -> None``, AssertionError at a difference
    bytes_moved : callable          ``(*inputs) -> int``, payload bytes read plus written
    sizes : tuple of int            sizes worth testing: 0, 1, odd, around a block, large
    """

    name: str
    reference: Callable[..., None]
    baseline: str
    variants: Mapping[str, Callable[..., None]]
    make_inputs: Callable[[np.random.Generator, int], Inputs]
    outputs: tuple[int, ...]
    check: Callable[[np.ndarray, np.ndarray], None]
    bytes_moved: Callable[..., int]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.baseline not in self.variants:
            raise ValueError(
                f"kernel {self.name!r}: baseline {self.baseline!r} is not one of its variants "
                f"{sorted(self.variants)}"
            )


def exact(expected: np.ndarray, got: np.ndarray) -> None:
    """Assert that two arrays hold the same bits."""
    np.testing.assert_array_equal(got.view(np.uint8), expected.view(np.uint8))


_KERNELS: dict[str, Kernel] = {}


def register(kernel: Kernel) -> Kernel:
    """Add a kernel to the registry; a second one of the same name is a programming error."""
    if kernel.name in _KERNELS:
        raise ValueError(f"kernel {kernel.name!r} is registered already")
    _KERNELS[kernel.name] = kernel
    return kernel


def all_kernels() -> dict[str, Kernel]:
    """Import every file of this package and return its records by name."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
    return dict(sorted(_KERNELS.items()))
