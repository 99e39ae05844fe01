"""Keep connections that are open and idle, so that callers may fetch by themselves.

Follows: handing a request to another thread and back costs 150 us here, more than a block of 64 KiB
takes; connecting may take 100 ms, which no caller is to wait for: workers connect, then hand over.
Leaves out: fetching (link.py).
"""

from __future__ import annotations

import threading
from collections import defaultdict

from workbench.tiering.distributed_tier.address import Endpoint
from workbench.tiering.distributed_tier.link import Link


class ReadyLinks:
    """Open connections that nobody uses. Safe between threads."""

    def __init__(self, most: int) -> None:
        """Keep at most so many for each endpoint."""
        self._most = most
        self._idle: defaultdict[Endpoint, list[Link]] = defaultdict(list)
        self._count: defaultdict[Endpoint, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._closed = False

    def take(self, endpoint: Endpoint) -> Link | None:
        """Return an open connection for the caller alone, None if there is none."""
        while True:
            with self._lock:
                if not self._idle[endpoint]:
                    return None
                link = self._idle[endpoint].pop()
            if link.is_ready:
                return link
            self.drop(link)

    def wants(self, endpoint: Endpoint) -> bool:
        """Return whether one more would be kept."""
        return self._count[endpoint] < self._most and not self._closed

    def add(self, link: Link) -> None:
        """Take in a new connection."""
        with self._lock:
            self._count[link.endpoint] += 1
        self.give_back(link)

    def give_back(self, link: Link) -> None:
        """Take a connection back, unless it was closed meanwhile."""
        if self._closed or not link.is_open:
            self.drop(link)
            return
        with self._lock:
            self._idle[link.endpoint].append(link)

    def drop(self, link: Link) -> None:
        """Close a connection that is of no more use."""
        link.close()
        with self._lock:
            self._count[link.endpoint] -= 1

    def close(self) -> None:
        """Close those that are idle; the others when they come back."""
        self._closed = True
        with self._lock:
            links = [link for several in self._idle.values() for link in several]
            self._idle.clear()
        for link in links:
            self.drop(link)
