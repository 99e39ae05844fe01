"""Choose the next token from a model's logits: the best one, or by chance within limits.

Follows: transformers' and vLLM's order: temperature, then top-k, then top-p. (llama.cpp takes top-k
and top-p first.) Equal logits rank by token id, so that a seed always gives the same text.
Leaves out: penalties for repetition, min-p and other filters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.errors import UsageError, WorkbenchError

# How many tokens are ranked first when looking for the top p; nearly always enough.
_FIRST_RANKED = 256


class LogitsError(WorkbenchError):
    """Logits that no token can be chosen from."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to choose.

    Attributes
    ----------
    temperature : float   0 takes the best token always; 1 draws by the model's own odds
    top_k : int           draw among the k best; 0 among all
    top_p : float         draw among the fewest best that hold this share of the odds, (0, 1]
    seed : int            of the draws
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every value.

        Raises
        ------
        UsageError   naming each that is out of range
        """
        problems = []
        if not 0 <= self.temperature <= 100:
            problems.append(f"temperature = {self.temperature} is outside 0..100")
        if self.top_k < 0:
            problems.append(f"top_k = {self.top_k} is below 0")
        if not 0 < self.top_p <= 1:
            problems.append(f"top_p = {self.top_p} is not in (0, 1]")
        if self.seed < 0:
            problems.append(f"seed = {self.seed} is below 0")
        if problems:
            raise UsageError(problems)


class Sampler:
    """A chooser of tokens.

    Attributes
    ----------
    n_draws : int   random numbers used so far; a sampler made with it goes on where this one is
    """

    def __init__(self, sampling: Sampling, n_draws: int = 0) -> None:
        self.sampling = sampling
        self.n_draws = n_draws
        # Every draw takes one number of the stream, so a place in it is a count.
        self._random = np.random.Generator(np.random.PCG64(sampling.seed).advance(n_draws))

    def next(self, logits: npt.NDArray[np.float32]) -> int:
        """Return the id of the token to come.

        Parameters
        ----------
        logits : float32[n_tokens]   -inf forbids a token

        Raises
        ------
        LogitsError   if they hold a NaN or +inf, or forbid every token

        Cost    of 49,152 tokens: 20 us for the best, 0.1 ms for a draw among the top k, up to 1 ms
                among all.
        """
        if self.sampling.temperature == 0:
            _checked_maximum(logits)
            return int(np.argmax(logits))
        ids, probabilities = candidates(logits, self.sampling)
        self.n_draws += 1
        bounds = np.cumsum(probabilities)
        at = np.searchsorted(bounds, self._random.random() * bounds[-1], side="right")
        return int(ids[min(int(at), len(ids) - 1)])


def candidates(
    logits: npt.NDArray[np.float32], sampling: Sampling
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the tokens that may be drawn and their odds; temperature must be above 0.

    Returns
    -------
    ids : int64[n]               the best first, equal ones by id; in id order if nothing limits
    probabilities : float64[n]   sum to 1

    Raises
    ------
    LogitsError   if the logits hold a NaN or +inf, or forbid every token
    """
    best = _checked_maximum(logits)
    if sampling.top_k == 0 and sampling.top_p == 1:
        ids = np.arange(len(logits))
        weights = _weights(logits, best, sampling.temperature)
    else:
        ids, weights = _limited(logits, best, sampling)
    return ids, weights / weights.sum()


def _limited(
    logits: npt.NDArray[np.float32], best: float, sampling: Sampling
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    n_most = min(sampling.top_k or len(logits), len(logits))
    if sampling.top_p == 1:
        ids = ranked(logits, n_most)
        return ids, _weights(logits[ids], best, sampling.temperature)
    total = None if sampling.top_k else _weights(logits, best, sampling.temperature).sum()
    n_ranked = n_most if sampling.top_k else min(_FIRST_RANKED, n_most)
    while True:
        ids = ranked(logits, n_ranked)
        weights = _weights(logits[ids], best, sampling.temperature)
        held = np.cumsum(weights)
        needed = sampling.top_p * (held[-1] if total is None else total)
        if held[-1] >= needed or n_ranked == n_most:
            n_kept = int(np.searchsorted(held, needed)) + 1
            return ids[:n_kept], weights[:n_kept]
        n_ranked = min(8 * n_ranked, n_most)


def ranked(logits: npt.NDArray[np.float32], n_most: int) -> npt.NDArray[np.int64]:
    """Return the ids of the highest logits, the best first, equal ones by id: int64[n_most]."""
    if n_most < len(logits):
        bound = np.partition(logits, len(logits) - n_most)[len(logits) - n_most]
        above = np.flatnonzero(logits > bound)
        equal = np.flatnonzero(logits == bound)[: n_most - len(above)]
        ids = np.sort(np.concatenate([above, equal]))
    else:
        ids = np.arange(len(logits))
    return ids[np.argsort(-logits[ids], kind="stable")]


def _weights(
    logits: npt.NDArray[np.float32], best: float, temperature: float
) -> npt.NDArray[np.float64]:
    """Return odds relative to the best token's, which are 1."""
    return np.exp((logits.astype(np.float64) - best) / temperature)


def _checked_maximum(logits: npt.NDArray[np.float32]) -> float:
    # A NaN anywhere makes the maximum NaN.
    best = float(logits.max(initial=-np.inf))
    if not np.isfinite(best):
        raise LogitsError(f"no token can be chosen: the highest of {len(logits)} logits is {best}")
    return best
