"""Measure what a policy's bookkeeping costs a block: time a call, and memory.

Follows: a full cache of digests under a mix that moves blocks through every queue: uses at random,
and newcomers, each of which makes room first.
Leaves out: the keys. Those of held blocks the cache has anyway; a ghost's, as ARC and S3-FIFO keep
them, costs 65 bytes more unless the tier below has the same object.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time

import numpy as np

from workbench.tiering import eviction
from workbench.tiering.eviction.policy import Policy

KEY_BYTES = 32
# Calls between two looks at the clock.
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class PolicyCost:
    """What a full policy costs.

    Attributes
    ----------
    policy : str              name
    n_blocks : int            blocks held
    call_us : float64[n]      microseconds a call of touch, evict or insert, a mean a round
    bytes_per_block : float   memory of the policy, ghosts included, keys not, over blocks held
    """

    policy: str
    n_blocks: int
    call_us: np.ndarray[tuple[int], np.dtype[np.float64]]
    bytes_per_block: float


def measure(name: str, n_blocks: int, rounds: int, seed: int = 0) -> PolicyCost:
    """Fill a policy, then time rounds of a tenth of its blocks: use one, evict one, insert one.

    Processor time, so that what others do at the same time counts less.

    Cost    about ``4 * n_blocks * (1 + rounds / 10)`` us, and 200 bytes a block.
    """
    rng = np.random.default_rng(seed)
    n_new = max(1, n_blocks // 10) * rounds
    digests = _digests(rng, n_blocks + n_new)
    policy = eviction.create(name, n_blocks)
    for key in digests[:n_blocks]:
        policy.insert(key)
    newcomers = np.array_split(np.arange(n_blocks, n_blocks + n_new), rounds)
    call_us = [_round(policy, digests, new, rng) for new in newcomers]
    policy.check()
    return PolicyCost(name, n_blocks, np.array(call_us), measure_bytes(name, n_blocks, seed))


def _digests(rng: np.random.Generator, n: int) -> list[bytes]:
    content = rng.bytes(n * KEY_BYTES)
    return [content[at : at + KEY_BYTES] for at in range(0, len(content), KEY_BYTES)]


def _round(
    policy: Policy[bytes], digests: Sequence[bytes], new: np.ndarray, rng: np.random.Generator
) -> float:
    """Return the mean microseconds a call of one round."""
    taken_s, n_calls = 0.0, 0
    for start in range(0, len(new), _BATCH):
        incoming = [digests[at] for at in new[start : start + _BATCH]]
        # Picked among all that came, so a few are not held any more.
        picked = rng.integers(0, new[start], len(incoming))
        used = [key for key in (digests[at] for at in picked) if key in policy]
        begin = process_time()
        for key in used:
            policy.touch(key)
        for _ in incoming:
            policy.evict()
        for key in incoming:
            policy.insert(key)
        taken_s += process_time() - begin
        n_calls += len(used) + 2 * len(incoming)
    return taken_s / n_calls * 1e6


def measure_bytes(name: str, n_blocks: int, seed: int = 0) -> float:
    """Return the bytes a block of a policy that held one cacheful and now holds another.

    So every list of ghosts is as long as it gets.
    """
    digests = _digests(np.random.default_rng(seed), 2 * n_blocks)
    gc.collect()
    tracemalloc.start()
    try:
        policy = eviction.create(name, n_blocks)
        for key in digests[:n_blocks]:
            policy.insert(key)
        # A third was used again, so that queues for what is used again fill as well.
        for key in digests[: n_blocks // 3]:
            policy.touch(key)
        for key in digests[n_blocks:]:
            policy.evict()
            policy.insert(key)
        return tracemalloc.get_traced_memory()[0] / n_blocks
    finally:
        tracemalloc.stop()
