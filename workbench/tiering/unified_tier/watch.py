"""Notice within a second that a tier below memory fails or is back, and say so.

Follows: a heartbeat: a server that nobody asks anything is asked for a few blocks that do not
exist, so that its breaker opens (distributed_tier/breaker.py) before a session has to wait for it.
Leaves out: an idle disk, which is not written to for this: its failures show when it is used.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import NamedTuple

from workbench.tiering.async_io.clock import Clock, RealClock
from workbench.tiering.closing import Closing
from workbench.tiering.distributed_tier import NetworkTier
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.ssd_tier.frame import KEY_BYTES
from workbench.tiering.unified_tier.events import Events, Kind
from workbench.tiering.unified_tier.status import Health

_LOG = logging.getLogger(__name__)

# Three failures open a breaker: after 0.6 s at most, and their time-outs.
LOOK_EVERY_S = 0.2
# Of a cluster, whichever nodes these fall to are asked.
_HEARTBEAT_KEYS = 8
# A disk is trusted again when nothing has failed for so long.
_TRUST_AFTER_S = 10.0
_KINDS = {
    Health.HEALTHY: Kind.HEALTHY,
    Health.DEGRADED: Kind.DEGRADED,
    Health.OFF: Kind.OFF,
}
_UNWANTED = "not configured"


class State(NamedTuple):
    """How a tier is, and why it is not healthy."""

    health: Health
    reason: str = ""


class Watch(Closing):
    """Looks at the lower tiers in a thread of its own. Safe between threads."""

    def __init__(
        self,
        ssd: SsdTier | None,
        network: NetworkTier | None,
        events: Events,
        clock: Clock | None = None,
    ) -> None:
        """Begin to look; both tiers stay their owner's to close, after this."""
        self._ssd, self._network, self._events = ssd, network, events
        self._clock = clock or RealClock()
        self._lock = threading.Lock()
        self._n_failures, self._failed_ns, self._failure = 0, 0, ""
        self._told: dict[str, Health] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.look()
        if ssd is not None or network is not None:
            self._thread = threading.Thread(target=self._serve, name="tier-watch", daemon=True)
            self._thread.start()

    def look(self) -> dict[str, State]:
        """Return how each tier is now; what has changed is an event."""
        with self._lock:
            found = {"ssd": self._ssd_state(), "network": self._network_state()}
            for name, state in found.items():
                before = self._told.get(name, Health.HEALTHY)
                self._told[name] = state.health
                if state.health is not before and state.reason != _UNWANTED:
                    self._tell(name, state)
        return found

    def _tell(self, name: str, state: State) -> None:
        self._events.add(_KINDS[state.health], name, state.reason)
        # Of servers the network tier tells itself, each by its address.
        if name == "ssd":
            _LOG.warning("ssd tier: %s", f"{state.health} {state.reason}".strip())

    def _ssd_state(self) -> State:
        if self._ssd is None:
            return State(Health.OFF, _UNWANTED)
        condition = self._ssd.condition()
        counts = condition.counts
        errors = {
            "reads": counts.read_errors,
            "writes": counts.write_errors,
            "syncs": counts.sync_errors,
            "changes of its folder": counts.folder_errors,
            "blocks' sums": counts.misses_damaged,
        }
        n_failures, now_ns = sum(errors.values()), self._clock.now_ns()
        if n_failures > self._n_failures:
            self._n_failures, self._failed_ns = n_failures, now_ns
            several = ", ".join(f"{n} {name}" for name, n in errors.items() if n)
            self._failure = f"failed since it was opened: {several}"
        if condition.state == "closed":
            return State(Health.OFF, "closed")
        if condition.state != "ok":
            return State(Health.DEGRADED, f"takes no writes: {condition.reason}")
        if n_failures and now_ns - self._failed_ns < _TRUST_AFTER_S * 1e9:
            return State(Health.DEGRADED, self._failure)
        return State(Health.HEALTHY)

    def _network_state(self) -> State:
        if self._network is None:
            return State(Health.OFF, _UNWANTED)
        stats = self._network.stats()
        if stats.state == "ok":
            return State(Health.HEALTHY)
        if stats.state == "closed" or all(state == "down" for _, state in stats.nodes):
            return State(Health.OFF, stats.reason or stats.state)
        return State(Health.DEGRADED, stats.reason or stats.state)

    def _serve(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            if self._network is not None:
                self._network.contains_many([os.urandom(KEY_BYTES) for _ in range(_HEARTBEAT_KEYS)])
            self.look()

    def wait_for(self, tier: str, health: Health, timeout_s: float) -> bool:
        """Wait until a tier is so; return whether it is, in time."""
        end = time.monotonic() + timeout_s
        while (found := self.look()[tier].health) is not health and time.monotonic() < end:
            self._stop.wait(LOOK_EVERY_S / 10)
        return found is health

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
