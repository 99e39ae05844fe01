"""Find out in the background when an endpoint is back, and where a cluster's slots are.

Follows: half-open probes, one at a time and never a caller's.
Leaves out: opening the breakers (node.py).
"""

from __future__ import annotations

import threading

from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.link import Links, Opening
from workbench.tiering.distributed_tier.miss import MissError
from workbench.tiering.distributed_tier.replies import ServerError
from workbench.tiering.distributed_tier.topology import Topology

# How often it looks whether there is anything to do; costs a few microseconds.
_LOOK_EVERY_S = 0.05


class Prober:
    """The thread that probes."""

    def __init__(self, opening: Opening, topology: Topology) -> None:
        """Start it."""
        self._topology = topology
        self._counters: Counters = opening.counters
        self._links = Links(opening)
        self._every_looks = max(1, round(opening.config.probe_every_s / _LOOK_EVERY_S))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="network-probe", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        looks = 0
        while not self._stop.wait(_LOOK_EVERY_S):
            looks += 1
            self.look()
            if looks % self._every_looks == 0 and self._topology.is_doubtful:
                refresh(self._topology, self._links)
        self._links.close()

    def look(self) -> None:
        """Probe those nodes whose time has come."""
        for node in self._topology.nodes():
            if not node.breaker.take_probe():
                continue
            self._counters.add(probes=1)
            try:
                self._links.to(node.endpoint).probe()
            except MissError:
                continue
            node.recovered()

    def close(self, timeout_s: float) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join(timeout_s)


def refresh(topology: Topology, links: Links) -> bool:
    """Read a cluster's map from the first node that tells it; return whether one did."""
    for node in topology.advisers():
        link = links.to(node.endpoint)
        try:
            topology.learn(node.endpoint, link.command("CLUSTER", "SLOTS"))
        except (MissError, ServerError, ValueError):
            continue
        return True
    return False
