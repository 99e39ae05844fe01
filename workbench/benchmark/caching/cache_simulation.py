"""Replay a trace through an eviction policy and count hits, without bytes.

A request hits the longest run of its leading blocks that are held: what comes after the first gap
has to be computed anyway. Then all its blocks are told to the policy, deepest first, so that of two
blocks of a prefix the shallower one is the newer; a block that is not held makes room and joins.

Follows: prefix caching as vLLM and SGLang do it; Belady's MIN as the yardstick.
Leaves out: the second tier (two_tier_simulation.py) and time.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.caching.trace import Trace
from workbench.tiering import eviction

MIN = eviction.Min.name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay counted.

    Attributes
    ----------
    policy : str                    name of the policy
    capacity_blocks : int           blocks that could be held
    hits : int64[n_requests]        leading blocks found, by request
    n_references : int              blocks asked for
    n_evictions : int               blocks that had to go
    """

    policy: str
    capacity_blocks: int
    hits: NDArray[np.int64]
    n_references: int
    n_evictions: int

    @property
    def hit_blocks(self) -> int:
        """Return the blocks found over all requests."""
        return int(self.hits.sum())

    @property
    def hit_rate(self) -> float:
        """Return hits over references, 0..1; 0 for an empty trace."""
        return self.hit_blocks / max(1, self.n_references)


def make_policy(name: str, capacity_blocks: int, trace: Trace) -> eviction.Policy[Any]:
    """Return a policy by name; MIN is shown the trace.

    Raises
    ------
    UsageError   for an unknown name or a capacity below 1
    """
    if name == MIN:
        return eviction.Min(capacity_blocks, trace.next_uses().tolist())
    return eviction.create(name, capacity_blocks)


def simulate(trace: Trace, name: str, capacity_blocks: int) -> Outcome:
    """Replay a whole trace through a policy that starts empty.

    Raises
    ------
    UsageError   for an unknown name or a capacity below 1

    Cost    0.5 to 3 us a block reference, by policy.
    """
    return replay(trace, make_policy(name, capacity_blocks, trace))


def replay(trace: Trace, policy: eviction.Policy[Any]) -> Outcome:
    """Replay a whole trace through a policy that holds nothing yet."""
    capacity_blocks = policy.capacity_blocks
    hits = np.zeros(len(trace), np.int64)
    n_inserted = 0
    for number, request in enumerate(trace):
        blocks = request.tolist()
        hits[number] = leading_run(policy, blocks)
        for block in reversed(blocks):
            if block in policy:
                policy.touch(block)
            else:
                if len(policy) >= capacity_blocks:
                    policy.evict()
                policy.insert(block)
                n_inserted += 1
    policy.check()
    n_evictions = n_inserted - len(policy)
    return Outcome(policy.name, capacity_blocks, hits, trace.n_references, n_evictions)


def leading_run(held: Container[int], blocks: Sequence[int]) -> int:
    """Return how many of the leading blocks are held without a gap."""
    for number, block in enumerate(blocks):
        if block not in held:
            return number
    return len(blocks)


def reachable_hit_rate(trace: Trace) -> float:
    """Return the hit rate of a cache that never has to evict, 0..1."""
    seen: set[int] = set()
    hits = 0
    for request in trace:
        blocks = request.tolist()
        hits += leading_run(seen, blocks)
        seen.update(blocks)
    return hits / max(1, trace.n_references)
