"""Compare what a model says next with what it would have said had it read everything.

Follows: llama.cpp's quality measures of a quantised model: KL divergence of next-token
distributions, top-1 agreement, perplexity on the text that really follows (teacher forcing).
Leaves out: texts that drift apart once another token was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.statistics import Ratio
from workbench.inference.forward import Floats

_RESAMPLES, _RUN_TOKENS, _TAIL = 2000, 8, 0.005


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Log-probabilities of a model behind each token of a text, and the tokens that follow.

    Attributes
    ----------
    log_probabilities : float32[n_tokens, vocab_size]
    expected : int64[n_tokens]
    """

    log_probabilities: Floats
    expected: NDArray[np.int64]

    @classmethod
    def of(cls, logits: Sequence[Floats], expected: Sequence[int]) -> Answers:
        """Return the answers that rows of logits stand for."""
        rows = np.stack(logits).astype(np.float64)
        rows -= rows.max(axis=1, keepdims=True)
        rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return cls(rows.astype(np.float32), np.asarray(expected, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Distance:
    """How far answers are from exact ones, token by token.

    Attributes
    ----------
    kl : float64[n_tokens]           nats, of the exact distribution over the other
    same_top : bool[n_tokens]        whether the likeliest token is the same
    surprise : float64[n_tokens]     log-probability of the real next token, exact minus this one
    """

    kl: NDArray[np.float64]
    same_top: NDArray[np.bool_]
    surprise: NDArray[np.float64]

    @property
    def perplexity_change(self) -> float:
        """Return by what fraction the perplexity grows; below 0 it shrinks."""
        return float(np.exp(self.surprise.mean()) - 1)

    def mean_kl(self, seed: int = 0) -> Ratio:
        """Return the mean with its 99 % interval, of runs of tokens, as neighbours are alike."""
        low, high = np.quantile(self.kl[self._resampled(seed)].mean(axis=1), [_TAIL, 1 - _TAIL])
        mean = float(self.kl.mean())
        return Ratio(mean, min(mean, float(low)), max(mean, float(high)), len(self.kl))

    def kl_over(self, other: Distance, seed: int = 0) -> Ratio:
        """Return this mean KL over another's of the same tokens, with its 99 % interval."""
        picks = self._resampled(seed)
        ratios = self.kl[picks].mean(axis=1) / other.kl[picks].mean(axis=1)
        low, high = np.quantile(ratios, [_TAIL, 1 - _TAIL])
        mean = float(self.kl.mean() / other.kl.mean())
        return Ratio(mean, min(mean, float(low)), max(mean, float(high)), len(self.kl))

    def _resampled(self, seed: int) -> NDArray[np.int64]:
        """Return rows of tokens to take means of: runs, as neighbours are alike."""
        n_tokens = len(self.kl)
        length = max(1, min(_RUN_TOKENS, n_tokens // 4))
        rng = np.random.default_rng(seed)
        starts = rng.integers(0, n_tokens - length + 1, (_RESAMPLES, -(-n_tokens // length)))
        picks: NDArray[np.int64] = starts[..., None] + np.arange(length)
        return picks.reshape(_RESAMPLES, -1)


def distance(exact: Answers, other: Answers) -> Distance:
    """Compare answers to the same questions."""
    sure = exact.log_probabilities.astype(np.float64)
    unsure = other.log_probabilities.astype(np.float64)
    rows = np.arange(len(sure))
    return Distance(
        (np.exp(sure) * (sure - unsure)).sum(axis=1),
        sure.argmax(axis=1) == unsure.argmax(axis=1),
        sure[rows, exact.expected] - unsure[rows, exact.expected],
    )


def joined(parts: Sequence[Distance]) -> Distance:
    """Return the tokens of several texts as one."""
    return Distance(
        np.concatenate([part.kl for part in parts]),
        np.concatenate([part.same_top for part in parts]),
        np.concatenate([part.surprise for part in parts]),
    )
