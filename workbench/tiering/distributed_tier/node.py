"""One server as the tier sees it: worth asking or not, full or not.

Follows: one circuit breaker per endpoint; an out-of-memory reply is a state of its own, in which
nothing is written and everything is read.
Leaves out: connections (link.py): each thread has its own.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from workbench.tiering.async_io.clock import Clock
from workbench.tiering.distributed_tier.address import Endpoint
from workbench.tiering.distributed_tier.breaker import Breaker
from workbench.tiering.distributed_tier.config import NetworkTierConfig
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.miss import OUTAGES, BudgetError, Miss, MissError

_LOG = logging.getLogger(__name__)

Result = TypeVar("Result")


class Node:
    """One endpoint. Safe between threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        config: NetworkTierConfig,
        counters: Counters,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        """Begin with a closed breaker: the endpoint is taken to work."""
        self.endpoint = endpoint
        self.breaker = Breaker(config, clock, chance)
        self._counters = counters
        self._clock = clock
        self._pause_ns = round(config.full_pause_s * 1e9)
        self._full_until_ns = 0

    def ask(self, work: Callable[[], Result]) -> Result:
        """Do one request's work, and learn from how it ends.

        Raises
        ------
        MissError   as the work does, or REFUSED while the breaker is open
        """
        if self.breaker.is_open:
            raise MissError(Miss.REFUSED, self.breaker.reason)
        started = time.monotonic()
        try:
            result = work()
        except MissError as error:
            if error.why in OUTAGES:
                self._failed(time.monotonic() - started, error)
            else:
                self.breaker.succeeded()
            raise
        self.breaker.succeeded()
        return result

    def _failed(self, wasted_s: float, error: MissError) -> None:
        n_failures = 0 if isinstance(error, BudgetError) else 1
        if self.breaker.failed(wasted_s, str(error), n_failures):
            self._counters.add(breakers_opened=1)
            _LOG.warning("network tier: %s is left alone: %s", self.endpoint, error)

    def give_up(self, said: str) -> None:
        """Leave the endpoint alone until a probe is answered."""
        self.breaker.open(said)
        self._counters.add(breakers_opened=1)
        _LOG.warning("network tier: %s is left alone: %s", self.endpoint, said)

    def recovered(self) -> None:
        """Note that a probe was answered."""
        self.breaker.probed()
        self._counters.add(recoveries=1)
        _LOG.warning("network tier: %s answers again", self.endpoint)

    @property
    def is_full(self) -> bool:
        """Return whether the server had no memory a moment ago."""
        return self._clock.now_ns() < self._full_until_ns

    def became_full(self) -> None:
        """Write nothing for a while."""
        if not self.is_full:
            _LOG.warning("network tier: %s is out of memory; writes pause", self.endpoint)
        self._full_until_ns = self._clock.now_ns() + self._pause_ns

    @property
    def state(self) -> str:
        """Return "down", "full" or "ok"."""
        if self.breaker.is_open:
            return "down"
        return "full" if self.is_full else "ok"
