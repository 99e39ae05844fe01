"""Compute the cosines and sines by which rope turns the pairs at some positions.

Follows: Su et al. 2021, in float64: at position 8,000 a float32 angle is off by 5e-4.
Leaves out: turning (kernels/rope.py), and YaRN's scaling, which models here do not use.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.inference.llama_config import Rope


class RopeAngles:
    """The frequencies of a model's pairs."""

    def __init__(self, rope: Rope, factors: NDArray[np.float32]) -> None:
        """Compute them once.

        Parameters
        ----------
        rope : Rope
        factors : float32[rope.dimensions / 2]   what divides each pair's frequency
        """
        pairs = np.arange(0, rope.dimensions, 2, dtype=np.float64)
        self._frequencies = rope.base ** (-pairs / rope.dimensions) / factors / rope.factor

    @property
    def n_pairs(self) -> int:
        """Return how many pairs turn."""
        return len(self._frequencies)

    def at(self, first: int, n_tokens: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return cosines and sines of consecutive positions, float32[n_tokens, n_pairs] each."""
        angles = np.arange(first, first + n_tokens)[:, None] * self._frequencies
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
