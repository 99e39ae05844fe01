"""Read the factors by which Llama 3 divides each pair's rope frequency.

Follows: llama.cpp's tensor ``rope_freqs.weight``; its converter makes it from the rope scaling.
Leaves out: turning queries and keys.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.inference.llama_config import Rope
from workbench.tiering.mmap_gguf import ModelMap, dequantized


def rope_factors(model: ModelMap, rope: Rope) -> NDArray[np.float32]:
    """Return what divides each pair's frequency, float32[rope.dimensions / 2]; ones without.

    Raises
    ------
    GGUFError   if a factor is no finite number above 0
    """
    if not rope.factors_name:
        return np.ones(rope.dimensions // 2, np.float32)
    tensor = model.tensor(rope.factors_name)
    factors = dequantized(tensor)
    wrong = ~(np.isfinite(factors) & (factors > 0))
    if wrong.any():
        place = int(np.argmax(wrong))
        raise model.header.refuse(
            f"{rope.factors_name}[{place}] = {factors[place]} is no finite number above 0",
            tensor.info.offset + 4 * place,
        )
    return factors
