"""Write blocks to the servers in the background, from a bounded queue.

Follows: a put never waits for the network: it is copied and queued, or dropped and counted.
Leaves out: deciding which blocks are worth it.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from workbench.tiering.distributed_tier.config import NetworkTierConfig
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.link import Link, Links, Opening
from workbench.tiering.distributed_tier.miss import Miss, MissError
from workbench.tiering.distributed_tier.node import Node
from workbench.tiering.distributed_tier.replies import ServerError
from workbench.tiering.distributed_tier.wire_form import wrap
from workbench.tiering.ssd_tier.frame import HEADER_BYTES, Attributes


class Offer(NamedTuple):
    """A block to write: room for a header, then its stored bytes, ours alone."""

    node: Node
    key: bytes
    framed: memoryview
    attributes: Attributes

    @property
    def stored_bytes(self) -> int:
        """Return the length of the stored bytes."""
        return self.framed.nbytes - HEADER_BYTES


class WriteBack:
    """The queue and the thread that empties it."""

    def __init__(self, opening: Opening) -> None:
        """Start the thread."""
        self._config: NetworkTierConfig = opening.config
        self._counters: Counters = opening.counters
        self._links = Links(opening)
        self._queue: deque[Offer] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._writing = False
        self._stopping = False
        self.waiting_bytes = 0
        self._thread = threading.Thread(target=self._serve, name="network-write", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Return how many blocks wait or are being written."""
        return len(self._queue) + self._writing

    def has_room(self, n_bytes: int) -> bool:
        """Return whether a block would be taken."""
        is_short = len(self._queue) < self._config.write_queue_blocks
        fits = self.waiting_bytes + n_bytes <= self._config.write_queue_bytes
        return is_short and fits and not self._stopping

    def offer(self, offer: Offer) -> bool:
        """Queue a block; return whether there was room for it. Counts it either way."""
        with self._changed:
            if not self.has_room(offer.stored_bytes):
                self._counters.add(puts=1, puts_dropped=1)
                return False
            self._counters.add(puts=1)
            self._queue.append(offer)
            self.waiting_bytes += offer.stored_bytes
            self._changed.notify_all()
            return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until the queue is empty; return whether it is, in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not len(self), timeout_s)

    def close(self, timeout_s: float) -> None:
        """Drop what waits and stop."""
        with self._changed:
            self._stopping = True
            self._counters.add(puts_dropped=len(self._queue))
            self._queue.clear()
            self.waiting_bytes = 0
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopping)
                if not self._queue:
                    break
                offer = self._queue.popleft()
                self.waiting_bytes -= offer.stored_bytes
                self._writing = True
            steps = self._write(offer)
            with self._changed:
                self._counters.add(**steps)
                self._writing = False
                self._changed.notify_all()
        self._links.close()

    def _write(self, offer: Offer) -> dict[str, int]:
        """Write one block; return what to count."""
        node = offer.node
        if node.is_full:
            return {"puts_refused": 1}
        wrap(offer.key, offer.framed, offer.attributes)
        try:
            refusal = node.ask(lambda: _store(self._links.to(node.endpoint), offer))
        except MissError as error:
            return {"puts_refused" if error.why is Miss.REFUSED else "puts_failed": 1}
        if refusal is None:
            return {"puts_written": 1, "written_bytes": offer.stored_bytes}
        if refusal.code != "OOM":
            return {"puts_failed": 1}
        node.became_full()
        return {"puts_failed": 1, "out_of_memory": 1}


def _store(link: Link, offer: Offer) -> ServerError | None:
    """Store a block; return the server's refusal, which is an answer all the same.

    Raises
    ------
    MissError   if the server could not be asked, or is not ready
    """
    try:
        link.store(offer.key, offer.framed)
    except ServerError as error:
        if error.code == "LOADING":
            raise MissError(Miss.LOADING, str(error)) from error
        return error
    return None
