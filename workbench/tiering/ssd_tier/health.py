"""Stop writing to a device that keeps failing, and try it again now and then.

Follows: Apache Traffic Server, which takes a disk out after 5 errors in a row and serves on;
half-open circuit breakers.
Leaves out: reads, whose failures are misses one by one.
"""

from __future__ import annotations

import threading

from workbench.tiering.async_io.clock import Clock


class Health:
    """Whether the store takes writes."""

    def __init__(self, clock: Clock, errors_until_read_only: int, retry_s: float) -> None:
        self._clock = clock
        self._limit = errors_until_read_only
        self._retry_ns = round(retry_s * 1e9)
        self._errors_in_a_row = 0
        self._tried_ns = 0
        self._lock = threading.Lock()
        self.reason = ""

    @property
    def read_only(self) -> bool:
        """Return whether writes are refused for now."""
        return self._errors_in_a_row >= self._limit

    def may_write(self) -> bool:
        """Return whether a write may be tried: always in health, else once a retry interval."""
        with self._lock:
            if not self.read_only:
                return True
            now_ns = self._clock.now_ns()
            # A clock that ran backwards must not keep the store read-only for ever.
            if 0 <= now_ns - self._tried_ns < self._retry_ns:
                return False
            self._tried_ns = now_ns
            return True

    def wrote(self) -> None:
        """Note a write that succeeded."""
        with self._lock:
            self._errors_in_a_row = 0
            self.reason = ""

    def failed(self, error: Exception) -> None:
        """Note a write that failed; the first reason for being read-only is kept."""
        with self._lock:
            self._errors_in_a_row += 1
            if self._errors_in_a_row == self._limit:
                self._tried_ns = self._clock.now_ns()
                self.reason = f"{self._limit} writes failed in a row, the last one: {error}"
