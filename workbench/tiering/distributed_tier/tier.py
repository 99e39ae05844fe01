"""The network tier: blocks of bytes under 32-byte keys on a Valkey or Redis server, or a cluster.

Follows: a tier may forget, it may never lie: whatever goes wrong is a miss and a counter, within a
budget. Nothing is retried: what a retry would cost, the model computes.
Leaves out: what blocks mean, compression, encryption (the rooms beside this one).
"""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import UsageError
from workbench.tiering.async_io.clock import Clock, RealClock
from workbench.tiering.closing import Closing
from workbench.tiering.distributed_tier.address import Endpoint
from workbench.tiering.distributed_tier.config import NetworkTierConfig
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.fetching import Arrived
from workbench.tiering.distributed_tier.flights import Flight, Flights, Waiter
from workbench.tiering.distributed_tier.link import Link, Opening
from workbench.tiering.distributed_tier.miss import Miss, MissError
from workbench.tiering.distributed_tier.node import Node
from workbench.tiering.distributed_tier.prober import Prober
from workbench.tiering.distributed_tier.ready_links import ReadyLinks
from workbench.tiering.distributed_tier.starting import begin, tls_context
from workbench.tiering.distributed_tier.stats import NetworkStats
from workbench.tiering.distributed_tier.topology import Topology
from workbench.tiering.distributed_tier.wire_form import copied, is_of
from workbench.tiering.distributed_tier.workers import Workers
from workbench.tiering.distributed_tier.write_back import Offer, WriteBack
from workbench.tiering.ssd_tier.arguments import checked_bytes, checked_key
from workbench.tiering.ssd_tier.buffer_pool import BufferPool
from workbench.tiering.ssd_tier.frame import Attributes

if TYPE_CHECKING:
    from typing_extensions import Buffer

_NO_ATTRIBUTES = Attributes()
_POOLED_BLOCKS = 4
_MIN_POOL_BYTES = 64 << 20
# Keys asked for in one go; each is a line of 80 bytes and a reply of 4.
_ASKED_AT_ONCE = 256
_CLOSE_WAIT_S = 1.0


class NetworkTier(Closing):
    """One open tier; safe to use from several threads. `open` makes it, `close` ends it."""

    def __init__(self, opening: Opening, topology: Topology) -> None:
        """Use `open`; this takes servers that were asked already."""
        self._config = opening.config
        self._counters = opening.counters
        self._pool = opening.pool
        self._topology = topology
        self._flights = Flights()
        self._ready = ReadyLinks(opening.config.connections)
        self._workers = Workers(opening, self._flights, self._ready)
        self._writer = WriteBack(opening)
        self._prober = Prober(opening, topology)
        self._pid = os.getpid()
        self._closed = False

    @classmethod
    def open(
        cls,
        config: NetworkTierConfig,
        *,
        required: bool = False,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> NetworkTier:
        """Connect to the servers, or begin without those that do not answer.

        Parameters
        ----------
        required : bool    refuse to begin without a server
        clock, chance      for tests

        Raises
        ------
        UsageError         if certificate files make no sense
        NetworkTierError   wrong password, denied by the access list, no trusted TLS connection; not
                           reachable, if it is required

        Cost    a few ms; ``start_timeout_s`` for each server that does not answer.
        """
        counters, clock = Counters(), clock or RealClock()
        dice = chance or random.Random()
        pool = BufferPool(max(_MIN_POOL_BYTES, _POOLED_BLOCKS * config.max_block_bytes))
        times = (config.connect_timeout_s, config.op_timeout_s)
        opening = Opening(config, tls_context(config), counters, pool, *times)

        def node(endpoint: Endpoint) -> Node:
            return Node(endpoint, config, counters, clock, dice)

        topology = Topology(config.address.endpoints, config.address.cluster, node)
        begin(topology, opening, required)
        return cls(opening, topology)

    # Blocks

    def put(self, key: bytes, value: Buffer, attributes: Attributes = _NO_ATTRIBUTES) -> bool:
        """Copy a block into the write-back queue; return whether it was taken.

        False: too large, the queue is full, the server is down or out of memory.

        Raises
        ------
        UsageError   if the key is not 32 bytes, or the value is not contiguous

        Cost    one copy; the sum and the writing happen behind.
        """
        key, stored = checked_key(key), checked_bytes(value)
        node = None if self._is_closed() else self._topology.node_of(key)
        if stored.nbytes > self._config.max_block_bytes:
            self._counters.add(puts=1, puts_too_large=1)
        elif node is None or node.breaker.is_open or node.is_full:
            self._counters.add(puts=1, puts_refused=1)
        elif not self._writer.has_room(stored.nbytes):
            self._counters.add(puts=1, puts_dropped=1)
        else:
            return self._writer.offer(Offer(node, key, copied(stored), attributes))
        return False

    def get(
        self, key: bytes, buffer: memoryview | None = None, budget_s: float | None = None
    ) -> memoryview | None:
        """Return a block's stored bytes, or None: a miss."""
        return self.get_many([key], [buffer], budget_s=budget_s)[0]

    def get_many(
        self,
        keys: Sequence[bytes],
        buffers: Sequence[memoryview | None] | None = None,
        attributes: Attributes | None = None,
        budget_s: float | None = None,
    ) -> list[memoryview | None]:
        """Return the stored bytes of several blocks as views, None for each miss.

        Parameters
        ----------
        buffers : sequence or None         memory for each block; what does not fit is a miss, and
                                           nothing is written to the memory of a miss. None: views
                                           of pooled memory, read-only
        attributes : Attributes or None    a block with another fingerprint, tenant or codec is a
                                           miss
        budget_s : float or None           it is over by then, and in any case when nothing has come
                                           for ``op_timeout_s``

        Cost    a round trip and 60 us a block, and its bytes; several blocks at once.
        """
        frames = self.get_frames(keys, buffers, attributes, budget_s)
        return [None if frame is None else frame.stored for frame in frames]

    def get_frames(
        self,
        keys: Sequence[bytes],
        buffers: Sequence[memoryview | None] | None = None,
        attributes: Attributes | None = None,
        budget_s: float | None = None,
    ) -> list[Arrived | None]:
        """Return headers and stored bytes, as `get_many` returns stored bytes."""
        keys = [checked_key(key) for key in keys]
        places: Sequence[memoryview | None] = [None] * len(keys) if buffers is None else buffers
        if len(places) != len(keys):
            raise UsageError(f"{len(places)} buffers for {len(keys)} keys; give one for each")
        outcomes = self._fetched(keys, budget_s)
        found = [
            _delivered(outcome, place, attributes)
            for outcome, place in zip(outcomes, places, strict=True)
        ]
        hits = [one for one in found if isinstance(one, Arrived)]
        misses = [one for one in found if isinstance(one, Miss)]
        self._counters.looked_up(len(hits), sum(hit.stored.nbytes for hit in hits), misses)
        return [one if isinstance(one, Arrived) else None for one in found]

    def _fetched(self, keys: Sequence[bytes], budget_s: float | None) -> list[Arrived | Miss]:
        limit = self._config.max_block_bytes
        wanted = [
            (self._topology.node_of(key), _fetching(key, limit), key) for key in keys
        ]  # fmt: skip
        return self._carried_out(wanted, budget_s)

    def _carried_out(
        self,
        wanted: Sequence[tuple[Node | None, Callable[[Link], Any], bytes | None]],
        budget_s: float | None,
    ) -> list[Any]:
        """Return what came of each piece of work, or the reason why nothing did."""
        if self._is_closed() or (budget_s is not None and budget_s <= 0):
            return [Miss.REFUSED] * len(wanted)
        waiter = Waiter()
        flights: list[Flight | None] = []
        new: list[Flight] = []
        for node, work, key in wanted:
            if node is None or node.breaker.is_open:
                flights.append(None)
                continue
            flight, is_new = self._flights.join(waiter, Flight(node, work, key))
            flights.append(flight)
            if is_new:
                new.append(flight)
        end = None if budget_s is None else time.monotonic() + budget_s
        if new:
            self._counters.add(fetches=sum(flight.key is not None for flight in new))
            self._begin(new, end)
        left_s = None if end is None else end - time.monotonic()
        waiter.wait(left_s, self._config.op_timeout_s)
        outcomes = [
            Miss.REFUSED if flight is None else self._flights.leave(waiter, flight)
            for flight in flights
        ]
        if Miss.MOVED in outcomes:
            self._topology.is_outdated = True
        return outcomes

    def _begin(self, flights: list[Flight], end: float | None) -> None:
        """Fetch one node's blocks here, if a connection is ready; workers fetch the others."""
        node = flights[0].node
        mine = [one for one in flights if one.node is node and one.key is not None]
        link = self._ready.take(node.endpoint) if mine else None
        if link is None:
            self._workers.submit(flights)
            return
        others = [one for one in flights if one.node is not node or one.key is None]
        self._workers.submit(others)
        try:
            self._fetch(link, mine, end)
        finally:
            self._ready.give_back(link)

    def _fetch(self, link: Link, flights: list[Flight], end: float | None) -> None:
        keys = [one.key for one in flights if one.key is not None]
        limit, ended = self._config.max_block_bytes, self._flights.end
        why = Miss.FAILED
        try:
            flights[0].node.ask(
                lambda: link.fetch_many(keys, limit, lambda at, came: ended(flights[at], came), end)
            )
        except MissError as error:
            why = error.why
        except MemoryError:
            link.close()
            why = Miss.DENIED
        finally:
            for one in flights:
                if one.outcome is None:
                    ended(one, why)

    def contains_many(self, keys: Sequence[bytes], budget_s: float | None = None) -> list[bool]:
        """Return which blocks a server seems to have; only a get proves that they can be had.

        Cost    one round trip for each 256 keys of a node, 10 us a key.
        """
        by_node: defaultdict[Node | None, list[int]] = defaultdict(list)
        for at, key in enumerate(keys):
            by_node[self._topology.node_of(checked_key(key))].append(at)
        parts = [
            (node, places[start : start + _ASKED_AT_ONCE])
            for node, places in by_node.items()
            for start in range(0, len(places), _ASKED_AT_ONCE)
        ]
        wanted = [(node, _asking([keys[at] for at in part]), None) for node, part in parts]
        known = [False] * len(keys)
        answers = self._carried_out(wanted, budget_s)
        for (_, part), answer in zip(parts, answers, strict=True):
            for at, is_known in zip(part, [] if isinstance(answer, Miss) else answer, strict=False):
                known[at] = is_known
        self._counters.add(asked=len(keys), asked_known=sum(known))
        return known

    # The tier

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything put so far was written or given up; return whether it was."""
        return not self._is_closed() and self._writer.flush(timeout_s)

    @property
    def health(self) -> str:
        """Return "ok", "degraded" (a server is down), "full" (one is out of memory), "closed"."""
        if self._is_closed():
            return "closed"
        states = {node.state for node in self._topology.nodes()}
        if "down" in states or self._topology.is_outdated:
            return "degraded"
        return "full" if "full" in states else "ok"

    def stats(self) -> NetworkStats:
        """Return all counters and gauges."""
        nodes = self._topology.nodes()
        down = [f"{node.endpoint}: {node.breaker.reason}" for node in nodes if node.breaker.is_open]
        return NetworkStats(
            counts=self._counters.read(),
            state=self.health,
            reason="; ".join(down),
            nodes=tuple((str(node.endpoint), node.state) for node in nodes),
            writes_waiting=len(self._writer),
            writes_waiting_bytes=self._writer.waiting_bytes,
            flights=len(self._flights),
            pool_bytes=self._pool.held_bytes,
        )

    def prometheus(self) -> str:
        """Return them as Prometheus text."""
        return self.stats().prometheus()

    def wait_for_health(self, timeout_s: float) -> bool:
        """Wait until every server answers; return whether they do, in time."""
        end = time.monotonic() + timeout_s
        while self.health == "degraded" and time.monotonic() < end:
            time.sleep(0.01)
        return self.health != "degraded"

    def close(self) -> None:
        """Write what waits, for a second at most, and stop; closing twice is harmless."""
        if self._is_closed():
            return
        if self.health != "degraded":
            self._writer.flush(_CLOSE_WAIT_S)
        self._closed = True
        self._prober.close(_CLOSE_WAIT_S)
        self._writer.close(_CLOSE_WAIT_S)
        self._workers.close(_CLOSE_WAIT_S)
        self._ready.close()

    def _is_closed(self) -> bool:
        # A forked child has none of the threads.
        return self._closed or os.getpid() != self._pid


def _fetching(key: bytes, limit_bytes: int) -> Callable[[Link], Arrived]:
    return lambda link: link.fetch(key, limit_bytes)


def _asking(keys: list[bytes]) -> Callable[[Link], list[bool]]:
    return lambda link: link.known(keys)


def _delivered(
    outcome: Arrived | Miss, place: memoryview | None, attributes: Attributes | None
) -> Arrived | Miss:
    """Return a block where its caller wants it, or why not."""
    if isinstance(outcome, Miss):
        return outcome
    if not is_of(outcome.header, attributes):
        return Miss.FOREIGN
    if place is None:
        return outcome
    room = place.cast("B")[: outcome.stored.nbytes]
    if room.nbytes < outcome.stored.nbytes:
        return Miss.TOO_LARGE
    # Through NumPy, which lets other threads run while it copies.
    np.copyto(np.frombuffer(room, np.uint8), np.frombuffer(outcome.stored, np.uint8))
    return outcome._replace(stored=room)
