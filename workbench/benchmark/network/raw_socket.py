"""Ask a server for values over a plain socket, as fast as they come: the ceiling of a network tier.

Follows: the length of every value is known beforehand, so one call of the system receives a reply
into the same memory again and again; nothing is looked at but the first line.
Leaves out: everything that a client is for: unknown lengths, errors, verification, memory.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence

from workbench.tiering.closing import Closing

# As many as the tier itself asks for ahead (distributed_tier/fetching.py).
_AHEAD = 8
_PATIENCE_S = 5.0


class RawSocket(Closing):
    """One connection to a server on loopback. For one thread."""

    def __init__(self, port: int, most_bytes: int) -> None:
        """Connect, and take memory for values of so many bytes at most."""
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._room = memoryview(bytearray(most_bytes + 64))

    def get_many(self, values: Sequence[tuple[bytes, int]], ahead: int = _AHEAD) -> None:
        """Receive values by name and length, several asked for ahead.

        Raises
        ------
        RuntimeError   if a value is not there, or has another length
        """
        asked: deque[int] = deque()
        for name, n_bytes in values:
            if len(asked) == ahead:
                self._receive(asked.popleft())
            self._socket.sendall(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(name), name))
            asked.append(n_bytes)
        while asked:
            self._receive(asked.popleft())

    def _receive(self, n_bytes: int) -> None:
        said = b"$%d\r\n" % n_bytes
        left = self._room[: len(said) + n_bytes + 2]
        while left:
            n_came = self._socket.recv_into(left, 0, socket.MSG_WAITALL)
            # A missing value is a short reply, for whose rest nobody is to wait.
            if n_came == 0 or self._room[: len(said)] != said:
                raise RuntimeError("the server closed the connection, or has another value")
            left = left[n_came:]

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
