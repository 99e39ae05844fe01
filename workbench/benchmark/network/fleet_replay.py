"""Replay a trace through a fleet: each machine's own tiers, and one server that all of them share.

Follows: SharedStore: what a machine has not is asked of the server, what neither has is computed
and written to both; the server evicts the least recently used, as the embedded one does.
Leaves out: time, and routing that knows who has what; requests are dealt out in turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.caching.cache_simulation import leading_run, make_policy
from workbench.benchmark.caching.trace import Trace

POLICY = "lru"

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FleetOutcome:
    """Blocks of each request, int64[n_requests].

    Attributes
    ----------
    local : found on the machine that was asked
    shared : found on the server behind those
    asked : of the prompt
    held_blocks : int   on the server in the end
    """

    local: Counts
    shared: Counts
    asked: Counts
    held_blocks: int

    @property
    def computed(self) -> Counts:
        """Return the blocks that had to be computed; they are written to the server."""
        return self.asked - self.local - self.shared

    def rate(self, found: Counts) -> float:
        """Return such blocks over all that were asked for, 0..1."""
        return int(found.sum()) / max(1, int(self.asked.sum()))


def local_hits(trace: Trace, machines: int, capacity_blocks: int) -> Counts:
    """Return the leading blocks that each request finds on its own machine.

    Cost    about 1 us a block reference.
    """
    held = [make_policy(POLICY, capacity_blocks, trace) for _ in range(machines)]
    hits = np.zeros(len(trace), np.int64)
    for number, request in enumerate(trace):
        blocks, machine = request.tolist(), held[number % machines]
        hits[number] = leading_run(machine, blocks)
        for block in reversed(blocks):
            if block in machine:
                machine.touch(block)
            else:
                if len(machine) >= machine.capacity_blocks:
                    machine.evict()
                machine.insert(block)
    return hits


def replay(trace: Trace, local: Counts, capacity_blocks: int) -> FleetOutcome:
    """Ask a server of so many blocks for what each request's machine has not.

    Parameters
    ----------
    local : int64[n_requests]   as `local_hits` found them
    capacity_blocks : int       0: there is no server

    Cost    about 1 us a block reference.
    """
    asked = np.diff(trace.starts).astype(np.int64)
    shared = np.zeros(len(trace), np.int64)
    if capacity_blocks < 1:
        return FleetOutcome(local, shared, asked, 0)
    server = make_policy(POLICY, capacity_blocks, trace)
    for number, request in enumerate(trace):
        blocks = request.tolist()[int(local[number]) :]
        shared[number] = leading_run(server, blocks)
        # Found ones are read, the others written: both make a block the most recently used.
        for block in reversed(blocks):
            if block in server:
                server.touch(block)
            else:
                if len(server) >= server.capacity_blocks:
                    server.evict()
                server.insert(block)
    server.check()
    return FleetOutcome(local, shared, asked, len(server))
