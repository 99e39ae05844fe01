"""Carry flights out on a few threads, each with connections of its own.

Follows: single GETs over several connections; MGET moves large values at a third of their rate.
Leaves out: who waits for them (flights.py).
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from workbench.tiering.distributed_tier.flights import Flight, Flights
from workbench.tiering.distributed_tier.link import Links, Opening
from workbench.tiering.distributed_tier.miss import Miss, MissError
from workbench.tiering.distributed_tier.ready_links import ReadyLinks


class Workers:
    """The threads of one tier."""

    def __init__(self, opening: Opening, flights: Flights, ready: ReadyLinks) -> None:
        """Start them; connections are made when they are needed, and given away once they work."""
        self._ready = ready
        self._flights = flights
        self._queue: deque[Flight] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._stopping = False
        self._threads = [
            threading.Thread(
                target=self._serve, args=(Links(opening),), name=f"network-fetch-{n}", daemon=True
            )
            for n in range(opening.config.connections)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, flights: list[Flight]) -> None:
        """Carry flights out as soon as a thread is free."""
        with self._changed:
            if not self._stopping:
                self._queue.extend(flights)
                self._changed.notify(len(flights))
                return
        for flight in flights:
            self._flights.end(flight, Miss.REFUSED)

    def _serve(self, links: Links) -> None:
        while (flight := self._next()) is not None:
            if self._flights.is_wanted(flight):
                self._flights.end(flight, _outcome(flight, links))
                self._hand_over(flight, links)
            # Memory that the block lies in goes back to the pool with the last name for it.
            del flight
        links.close()

    def _hand_over(self, flight: Flight, links: Links) -> None:
        endpoint = flight.node.endpoint
        if self._ready.wants(endpoint) and links.to(endpoint).is_ready:
            self._ready.add(links.part_with(endpoint))

    def _next(self) -> Flight | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping)
            return self._queue.popleft() if self._queue else None

    def close(self, timeout_s: float) -> None:
        """Stop after what is queued was refused; a thread that hangs is left to its time-out."""
        with self._changed:
            self._stopping = True
            waiting = list(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        for flight in waiting:
            self._flights.end(flight, Miss.REFUSED)
        for thread in self._threads:
            thread.join(timeout_s)


def _outcome(flight: Flight, links: Links) -> Any:
    node = flight.node
    try:
        return node.ask(lambda: flight.work(links.to(node.endpoint)))
    except MissError as error:
        return error.why
    except MemoryError:
        return Miss.DENIED
