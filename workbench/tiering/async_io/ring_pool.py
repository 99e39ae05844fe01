"""Lend rings to threads, one ring to one thread at a time, and never more than a few.

Follows: io_uring's rule that a ring's submission side has one writer; a lock around one ring would
make every batch wait for the slowest.
Leaves out: what is done with a ring (io_uring.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from time import monotonic_ns

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.ring import Ring, RingRefusedError


class RingPool:
    """Up to ``most`` rings of one depth; the first is made at once, to see whether it can be."""

    def __init__(self, depth: int, most: int, fixed: Sequence[memoryview]) -> None:
        """Make the first ring.

        Raises
        ------
        RingRefusedError   if the system refuses
        """
        self._depth = depth
        self._most = most
        self._fixed = fixed
        self._idle = [Ring(depth, fixed)]
        self._n_rings = 1
        self._changed = threading.Condition()
        self._closed = False
        self.fixed_reason = self._idle[0].fixed_reason

    def check_out(self, end_ns: int) -> Ring | None:
        """Return a ring for the calling thread alone, or None if none was free in time.

        Rings whose slots are all held by hung requests are lent only when there is no other.

        Raises
        ------
        StorageError   if the pool is closed
        """
        with self._changed:
            while True:
                if self._closed:
                    raise StorageError("the engine is closed; open another one")
                ring = self._best()
                if ring is not None:
                    return ring
                left_s = (end_ns - monotonic_ns()) / 1e9
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)

    def _best(self) -> Ring | None:
        best = max(self._idle, key=lambda ring: ring.n_free, default=None)
        if (best is None or best.n_free == 0) and self._n_rings < self._most:
            try:
                ring = Ring(self._depth, self._fixed)
            except RingRefusedError:
                # No memory or no descriptor for another one: those there are have to do.
                self._most = self._n_rings
            else:
                self._n_rings += 1
                return ring
        if best is not None:
            self._idle.remove(best)
        return best

    def check_in(self, ring: Ring, usable: bool = True) -> None:
        """Take a ring back; one that is of no use any more is closed at once."""
        with self._changed:
            if usable and not self._closed:
                self._idle.append(ring)
                self._changed.notify()
                return
            self._n_rings -= 1
            self._changed.notify()
        ring.close(monotonic_ns())

    def reap(self) -> int:
        """Take late answers on the idle rings, and return how many."""
        with self._changed:
            return sum(ring.reap() for ring in self._idle)

    @property
    def n_pinned(self) -> int:
        """Return how many requests the device still has after their deadline, on idle rings."""
        with self._changed:
            return sum(ring.n_pinned for ring in self._idle)

    def close(self, end_ns: int) -> int:
        """Close all rings, waiting for those lent out and for late answers until a time.

        Returns
        -------
        requests that the device still has; their buffers stay until the process ends
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            while len(self._idle) < self._n_rings and (left_ns := end_ns - monotonic_ns()) > 0:
                self._changed.wait(left_ns / 1e9)
            idle, self._idle = self._idle, []
            self._n_rings -= len(idle)
        return sum(ring.close(end_ns) for ring in idle)

    def discard(self) -> None:
        """Let go of the rings in a child after a fork; they are the parent's."""
        idle, self._idle = self._idle, []
        self._closed = True
        for ring in idle:
            ring.discard()
