"""Say what a codec did to a model's answers, token by token: probabilities, KL, the likeliest word.

Follows: the same tokens scored with and without the codec; intervals by bootstrap over tokens.
Leaves out: the scoring (codec_quality.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Damage:
    """What one codec did; arrays hold a number a scored token.

    Attributes
    ----------
    name, how : str                  the codec, and how it was applied
    log_ratio : float64[n]           log-probability of the text without the codec less that with it
    kl : float64[n]                  divergence of the next token's distribution, nats
    same_top : bool[n]               whether the likeliest token is the same
    greedy_same : int64[n_windows]   tokens until the greedy continuations part
    decode_tokens_s : float          of the greedy continuations; 0 where there were none
    """

    name: str
    how: str
    log_ratio: NDArray[np.float64]
    kl: NDArray[np.float64]
    same_top: NDArray[np.bool_]
    greedy_same: NDArray[np.int64]
    decode_tokens_s: float

    @property
    def perplexity_change(self) -> float:
        """Return the relative change of perplexity; above 0 is worse."""
        return float(np.expm1(self.log_ratio.mean()))

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """Return its 99 % bootstrap interval over tokens."""
        rng = np.random.default_rng(seed)
        picks = rng.integers(0, self.log_ratio.size, (2000, self.log_ratio.size))
        low, high = np.quantile(np.expm1(self.log_ratio[picks].mean(axis=1)), [0.005, 0.995])
        return float(low), float(high)


def log_softmax(logits: Floats) -> NDArray[np.float64]:
    """Return log-probabilities, float64[n, vocab_size], of logits."""
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))
    return result


def joined(parts: Sequence[Damage]) -> Damage:
    """Return the damages of several windows as one."""
    return Damage(
        parts[0].name,
        parts[0].how,
        np.concatenate([part.log_ratio for part in parts]),
        np.concatenate([part.kl for part in parts]),
        np.concatenate([part.same_top for part in parts]),
        np.concatenate([part.greedy_same for part in parts]),
        float(np.median([part.decode_tokens_s for part in parts])),
    )
