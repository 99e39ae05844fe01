"""Know which server has a block: always the same one, or a cluster's node by the key's hash slot.

Follows: the Valkey Cluster specification (16,384 slots, hash tags). A moved slot is a miss, and the
map is read anew in the background: no request is ever sent on to another node.
Leaves out: replicas; a cache that lost a node's blocks computes them again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from valkey.crc import key_slot

from workbench.tiering.distributed_tier.address import Endpoint
from workbench.tiering.distributed_tier.node import Node

N_SLOTS = 16_384


class Topology:
    """The nodes of one tier. Safe between threads."""

    def __init__(
        self, endpoints: tuple[Endpoint, ...], cluster: bool, make_node: Callable[[Endpoint], Node]
    ) -> None:
        """Begin with what the URL names; of a cluster no slot is known yet."""
        self._make_node = make_node
        self._nodes = {endpoint: make_node(endpoint) for endpoint in endpoints}
        self._cluster = cluster
        self._seed_nodes = self._nodes
        self._seeds = endpoints
        self._slots: list[Node | None] = [None] * N_SLOTS
        self._lock = threading.Lock()
        self.is_outdated = cluster

    def nodes(self) -> list[Node]:
        """Return all nodes."""
        return list(self._nodes.values())

    def advisers(self) -> list[Node]:
        """Return whom to ask for the map: those that work first, those that the URL names too."""
        everyone = {**self._seed_nodes, **self._nodes}
        return sorted(everyone.values(), key=lambda node: node.breaker.is_open)

    @property
    def is_doubtful(self) -> bool:
        """Return whether the map is to be read anew: it is outdated, or a node of it is down."""
        down = any(node.breaker.is_open for node in self.nodes())
        return self._cluster and (self.is_outdated or down)

    def node_of(self, key: bytes) -> Node | None:
        """Return the node that has a block's key; None while nobody knows."""
        if not self._cluster:
            return self._nodes[self._seeds[0]]
        return self._slots[slot_of(key)]

    def learn(self, told_by: Endpoint, slots: Any) -> None:
        """Take a cluster's own list of slots, a reply to ``CLUSTER SLOTS``.

        Raises
        ------
        ValueError   if it is none
        """
        if not isinstance(slots, list):
            raise ValueError(f"{slots!r} is no list of slots")
        ranges = [_range(told_by, one) for one in slots]
        with self._lock:
            named = {endpoint for _, _, endpoint in ranges}
            known = {**self._seed_nodes, **self._nodes}
            nodes = {
                endpoint: known.get(endpoint) or self._make_node(endpoint)
                for endpoint in sorted(named)
            }
            table: list[Node | None] = [None] * N_SLOTS
            for first, last, endpoint in ranges:
                table[first : last + 1] = [nodes[endpoint]] * (last + 1 - first)
            self._nodes, self._slots = nodes, table
            self.is_outdated = None in table


def slot_of(key: bytes) -> int:
    """Return the hash slot of a block."""
    return int(key_slot(key.hex().encode()))


def _range(told_by: Endpoint, entry: Any) -> tuple[int, int, Endpoint]:
    try:
        first, last, master, *_ = entry
        host, port = (master[0] or b"").decode() or told_by.host, int(master[1])
    except (TypeError, ValueError, IndexError, AttributeError):
        raise ValueError(f"{entry!r} says nothing about slots") from None
    if not (0 <= first <= last < N_SLOTS and 1 <= port <= 65535):
        raise ValueError(f"slots {first}..{last} on port {port} cannot be")
    return first, last, Endpoint(host, port)
