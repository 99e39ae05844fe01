"""Say how well a model expects a text: the mean log-probability of its tokens, and perplexity.

Follows: llama.cpp's perplexity over windows that do not overlap; a window's first token is given.
Leaves out: strided windows, which count each token with a longer context.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.inference.forward import Floats
from workbench.inference.llama import LlamaModel
from workbench.tiering.tiered_kv_cache import TieredKVCache


@dataclass(frozen=True, slots=True, eq=False)
class Perplexity:
    """How a text was expected.

    Attributes
    ----------
    log_probabilities : float64[n]   of each token but the windows' first, natural logarithm
    """

    log_probabilities: NDArray[np.float64]

    @property
    def mean_log_probability(self) -> float:
        """Return the mean over all tokens."""
        return float(self.log_probabilities.mean())

    @property
    def perplexity(self) -> float:
        """Return e to the negative mean."""
        return math.exp(-self.mean_log_probability)


def perplexity(
    model: LlamaModel, cache: TieredKVCache, token_ids: Sequence[int], window: int
) -> Perplexity:
    """Measure a text.

    Parameters
    ----------
    model : LlamaModel
    cache : TieredKVCache   of the model's geometry; each window is a sequence of its own
    token_ids : sequence    at least 2
    window : int            tokens a window, 2 to the model's context

    Raises
    ------
    UsageError   if there are too few tokens, or the window is out of range
    """
    if len(token_ids) < 2 or not 2 <= window <= model.config.context_tokens:
        raise UsageError(
            f"{len(token_ids)} tokens in windows of {window}: a perplexity needs at least 2 tokens "
            f"and a window of 2 to {model.config.context_tokens}"
        )
    model.use_cache(cache.layout)
    parts = []
    for start in range(0, len(token_ids) - 1, window):
        ids = np.asarray(token_ids[start : start + window], np.int64)
        with cache.sequence() as sequence:
            at = 0
            for rows in model.logits(ids.tolist(), sequence):
                expected = ids[at + 1 : at + 1 + len(rows)]
                parts.append(log_probabilities(rows[: len(expected)], expected))
                at += len(rows)
    return Perplexity(np.concatenate(parts))


def log_probabilities(logits: Floats, token_ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log-probability of one token a row, float64[n_rows]."""
    exact = logits.astype(np.float64)
    top = exact.max(axis=1, initial=-np.inf)
    totals = np.log(np.exp(exact - top[:, None]).sum(axis=1))
    chosen = exact[np.arange(len(exact)), token_ids]
    result: NDArray[np.float64] = chosen - top - totals
    return result
