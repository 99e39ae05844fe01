"""Stand between a client and a server, and spoil what passes.

Follows: toxiproxy's toxics (latency, down, limit_data, slicer, timeout), flipped bits added.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

Change = Callable[[bytes], bytes]


@dataclass
class Fault:
    """What happens to the server's bytes from now on; connections under way are hit too."""

    delay_s: float = 0.0
    drip_bytes: int = 0  # so few at a time, each after the delay
    cut_after_bytes: int | None = None  # then both sides are closed
    swallow: bool = False  # nothing passes, nothing is closed
    change: Change | None = None


class FaultProxy:
    """Listens on loopback; every connection is passed on to one port there."""

    def __init__(self, target_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.target_port = target_port
        self.fault = Fault()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            server = socket.create_connection(("127.0.0.1", self.target_port))
        except OSError:
            client.close()
            return
        self._sockets += [client, server]
        threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
        self._spoil(server, client)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                while self.fault.swallow and not self._closing:
                    time.sleep(0.005)
                sink.sendall(piece)
        _close(source, sink)

    def _spoil(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while piece := server.recv(1 << 16):
                fault = self.fault
                while self.fault.swallow and not self._closing:
                    time.sleep(0.005)
                if fault.change is not None:
                    piece = fault.change(piece)
                if fault.cut_after_bytes is not None:
                    client.sendall(piece[: max(0, fault.cut_after_bytes - passed)])
                    passed += len(piece)
                    if passed >= fault.cut_after_bytes:
                        break
                    continue
                step = fault.drip_bytes or len(piece)
                for at in range(0, len(piece), step):
                    time.sleep(fault.delay_s)
                    client.sendall(piece[at : at + step])
        _close(server, client)

    def cut(self) -> None:
        """Close every connection."""
        sockets, self._sockets = self._sockets, []
        _close(*sockets)

    def close(self) -> None:
        self._closing = True
        self._listener.close()
        self.cut()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            one.close()
