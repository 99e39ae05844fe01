"""A server that answers each command as a script says, however wrong that is."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

# Gets the words of a command, returns the bytes to send; None sends nothing.
Script = Callable[[list[bytes]], bytes | None]


class ScriptedServer:
    """Listens on loopback and speaks just enough of the protocol to read commands."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.commands: list[list[bytes]] = []
        self.n_connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"valkey://127.0.0.1:{self._listener.getsockname()[1]}"
        self._clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.n_connections += 1
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client.makefile("rb") as stream:
            while line := stream.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int(stream.readline()[1:])
                    words.append(stream.read(size))
                    stream.read(2)
                self.commands.append(words)
                answer = self.script(words)
                if answer is not None:
                    client.sendall(answer)

    def close(self) -> None:
        for one in (self._listener, *self._clients):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bulk(value: bytes) -> bytes:
    """Return a value as a reply."""
    return b"$%d\r\n%s\r\n" % (len(value), value)


def as_usual(words: list[bytes]) -> bytes:
    """Answer as an empty server does."""
    return {b"GET": b"$-1\r\n", b"EXISTS": b":0\r\n"}.get(words[0], b"+OK\r\n")
