"""Freeze a server and time what requests pay for it, and how soon it is found again.

Follows: a server that is stopped (SIGSTOP) still accepts connections, which is the worst case for a
client: redis-py with its defaults stalls for 59.5 s on it.
Leaves out: other faults; tests/workbench/tiering/distributed_tier has them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.distributed_tier import EmbeddedServer, NetworkTier, NetworkTierConfig

FIRST = 3
_KEY = bytes(range(32))
_BLOCK_BYTES = 64 << 10
_LOOK_EVERY_S = 0.005
_GIVE_UP_S = 10.0
# Nothing takes no time at all: keeps ratios finite where a request cost nothing more than before.
_LEAST_S = 1e-6


@dataclass(frozen=True, slots=True)
class OutagePlan:
    """How often to freeze, and how many requests to time after the first three."""

    rounds: int
    later_requests: int


@dataclass(frozen=True, slots=True)
class Outage:
    """What the rounds took, in seconds.

    Attributes
    ----------
    usual_s : float                       a hit before anything happened, median
    first_s : float64[n_rounds, 3]        added to each of the first three requests
    later_s : float64[n_rounds]           added to the slowest of the later ones
    recovery_s : float64[n_rounds]        from the thaw to the first hit
    """

    usual_s: float
    first_s: NDArray[np.float64]
    later_s: NDArray[np.float64]
    recovery_s: NDArray[np.float64]


def measure(plan: OutagePlan, on_round: Callable[[int], None] | None = None) -> Outage:
    """Freeze and thaw an embedded server, with the tier's default time-outs.

    Raises
    ------
    RuntimeError   if the server is not found again within ten seconds
    """
    first, later, recovery = [], [], []
    with (
        said_once(),
        EmbeddedServer() as server,
        NetworkTier.open(NetworkTierConfig(server.url)) as tier,
    ):
        tier.put(_KEY, bytes(_BLOCK_BYTES))
        tier.flush()
        usual_s = float(np.median([_request(tier) for _ in range(50)]))
        for number in range(plan.rounds):
            _found_again(tier)
            os.kill(server.pid, signal.SIGSTOP)
            try:
                first.append([_request(tier) - usual_s for _ in range(FIRST)])
                several = [_request(tier) - usual_s for _ in range(plan.later_requests)]
            finally:
                os.kill(server.pid, signal.SIGCONT)
            later.append(max(several))
            recovery.append(_found_again(tier))
            if on_round is not None:
                on_round(number + 1)
    least = np.float64(_LEAST_S)
    return Outage(
        usual_s,
        np.maximum(first, least),
        np.maximum(later, least),
        np.maximum(recovery, least),
    )


@contextlib.contextmanager
def said_once() -> Iterator[None]:
    """Keep the tier's line for each outage to itself: here they are the plan."""
    log = logging.getLogger("workbench.tiering.distributed_tier")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _request(tier: NetworkTier) -> float:
    started = time.perf_counter()
    tier.get(_KEY)
    return time.perf_counter() - started


def _found_again(tier: NetworkTier) -> float:
    started = time.perf_counter()
    while tier.get(_KEY) is None:
        if time.perf_counter() - started > _GIVE_UP_S:
            raise RuntimeError(f"the server was not found again within {_GIVE_UP_S:g} s")
        time.sleep(_LOOK_EVERY_S)
    return time.perf_counter() - started
