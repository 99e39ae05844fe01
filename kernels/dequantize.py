"""Restore float32 from any packed weight type that is computed with, by the type's name.

Follows: the tensor types of GGUF files.
Leaves out: threads (the caller gives each its rows), and the types themselves
(dequantize_floats.py, dequantize_blocks.py, dequantize_k.py; their unchecked loops may be called
from other kernels).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from kernels.block_format import Dequantize
from kernels.dequantize_blocks import (
    dequantize_q4_0,
    dequantize_q4_1,
    dequantize_q5_0,
    dequantize_q5_1,
    dequantize_q8_0,
)
from kernels.dequantize_floats import dequantize_bf16, dequantize_f16, dequantize_f32
from kernels.dequantize_k import dequantize_q4_k, dequantize_q5_k, dequantize_q6_k

DEQUANTIZERS: Mapping[str, Dequantize] = MappingProxyType(
    {
        "F32": dequantize_f32,
        "F16": dequantize_f16,
        "BF16": dequantize_bf16,
        "Q4_0": dequantize_q4_0,
        "Q4_1": dequantize_q4_1,
        "Q5_0": dequantize_q5_0,
        "Q5_1": dequantize_q5_1,
        "Q8_0": dequantize_q8_0,
        "Q4_K": dequantize_q4_k,
        "Q5_K": dequantize_q5_k,
        "Q6_K": dequantize_q6_k,
    }
)


def dequantize(type_name: str, packed: np.ndarray, values: np.ndarray) -> None:
    """Write the values that packed weights stand for.

    Parameters
    ----------
    type_name : str                a key of `DEQUANTIZERS`
    packed : uint8[n_bytes]        whole blocks, contiguous
    values : float32[n_values]     written; as many as the blocks hold

    Raises
    ------
    ValueError   for a type that is not here, or arrays that do not match

    Cost    2.6 to 6 GB/s of packed weights on one Zen 3 core into the cache (float types 10), half
            of that into memory, which then limits it; releases the interpreter lock.
    """
    if type_name not in DEQUANTIZERS:
        raise ValueError(f"no dequantiser for {type_name}; there is {', '.join(DEQUANTIZERS)}")
    DEQUANTIZERS[type_name](packed, values)
