"""Leave an endpoint alone that keeps failing, and let one probe at a time find out when it is back.

Follows: circuit breakers with a half-open state; the probe runs in the background, so that no
request ever waits for an endpoint that is known to be down.
Leaves out: the probing (prober.py).
"""

from __future__ import annotations

import random
import threading

from workbench.tiering.async_io.clock import Clock
from workbench.tiering.distributed_tier.config import NetworkTierConfig

# Probes of many processes must not fall on one moment: each waits 0.75 to 1 of the interval.
_JITTER_FRAC = 0.25


class Breaker:
    """Whether one endpoint is asked. Safe between threads."""

    def __init__(self, config: NetworkTierConfig, clock: Clock, chance: random.Random) -> None:
        self._limit = config.breaker_failures
        self._wasted_limit_s = config.breaker_wasted_s
        self._every_s = config.probe_every_s
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._failures = 0
        self._wasted_s = 0.0
        self._probe_at_ns = 0
        self.is_open = False
        self.opened = 0
        self.reason = ""

    def succeeded(self) -> None:
        """Note a request that was answered; while the breaker is open only a probe counts."""
        if self._failures or self._wasted_s:
            with self._lock:
                if not self.is_open:
                    self._failures, self._wasted_s = 0, 0.0

    def failed(self, wasted_s: float, reason: str, n_failures: int = 1) -> bool:
        """Note a request that was not answered; return whether this opened the breaker.

        With 0 failures only its time counts: its caller was in more of a hurry than the time-out.
        """
        with self._lock:
            self._failures += n_failures
            self._wasted_s += wasted_s
            if self.is_open:
                return False
            if self._failures < self._limit and self._wasted_s < self._wasted_limit_s:
                return False
            self._open(reason)
            return True

    def open(self, reason: str) -> None:
        """Open it, whatever was counted."""
        with self._lock:
            if not self.is_open:
                self._open(reason)

    def _open(self, reason: str) -> None:
        self.is_open, self.reason = True, reason
        self.opened += 1
        self._plan_probe()

    def _plan_probe(self) -> None:
        wait_s = self._every_s * (1 - _JITTER_FRAC * self._chance.random())
        self._probe_at_ns = self._clock.now_ns() + round(wait_s * 1e9)

    def take_probe(self) -> bool:
        """Return whether to probe now; the next one is an interval away."""
        with self._lock:
            if not self.is_open or self._clock.now_ns() < self._probe_at_ns:
                return False
            self._plan_probe()
            return True

    def probed(self) -> None:
        """Note a probe that was answered: the endpoint is asked again."""
        with self._lock:
            self.is_open, self.reason = False, ""
            self._failures, self._wasted_s = 0, 0.0
