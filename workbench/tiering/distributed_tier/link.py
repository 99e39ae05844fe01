"""One connection to one server: fetch, store and ask for blocks, each within the op time-out.

Follows: valkey-py's connections for logging in and TLS, without its pools, clients and retries; a
connection whose reply is late, strange or cut off is closed, so that no later request gets it.
Leaves out: threads (workers.py), and whether the server is worth asking (node.py).
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from valkey.connection import Connection, UnixDomainSocketConnection
from valkey.exceptions import TimeoutError as ValkeyTimeoutError
from valkey.exceptions import ValkeyError

from workbench.tiering.distributed_tier.address import Endpoint
from workbench.tiering.distributed_tier.config import NetworkTierConfig
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.fetching import Arrived, Fetching, Tell, miss_of
from workbench.tiering.distributed_tier.miss import BudgetError, Miss, MissError
from workbench.tiering.distributed_tier.replies import Replies, ServerError
from workbench.tiering.distributed_tier.wire_form import chunk_name, chunks
from workbench.tiering.ssd_tier.buffer_pool import BufferPool

PROBE_KEY = bytes(32)


class LoginRefusedError(ServerError):
    """The server answered the login itself with an error."""


class Opening(NamedTuple):
    """What it takes to connect.

    Attributes
    ----------
    config : NetworkTierConfig
    tls : SSLContext or None      None: plaintext
    counters : Counters
    pool : BufferPool             memory for blocks
    connect_s, op_s : float       time-outs
    listen_s : float              how long a TLS connection waits for the server to refuse us: in
                                  TLS 1.3 it does so after the handshake, and writing would lose it
    """

    config: NetworkTierConfig
    tls: ssl.SSLContext | None
    counters: Counters
    pool: BufferPool
    connect_s: float
    op_s: float
    listen_s: float = 0.0


class _TlsConnection(Connection):
    """A connection that trusts what its context trusts, and nothing else."""

    def __init__(self, tls: ssl.SSLContext, listen_s: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._tls = tls
        self._listen_s = listen_s

    def _connect(self) -> socket.socket:
        plain = super()._connect()
        try:
            plain.settimeout(self.socket_connect_timeout)
            sealed = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
        if self._listen_s:
            self._listen(sealed)
        return sealed

    def _listen(self, sealed: ssl.SSLSocket) -> None:
        sealed.settimeout(self._listen_s)
        try:
            said = sealed.recv(1)
        except TimeoutError:
            return
        except BaseException:
            sealed.close()
            raise
        sealed.close()
        raise OSError(f"the server said {said!r} before it was asked")


class Link:
    """A connection that is made when it is needed. For one thread."""

    def __init__(self, endpoint: Endpoint, opening: Opening) -> None:
        """Remember where to connect."""
        self.endpoint = endpoint
        self._opening = opening
        self._namespace = opening.config.namespace.encode()
        self._op_s = opening.op_s
        self._replies = Replies(0)
        self._connection: Connection | UnixDomainSocketConnection | None = None

    def fetch(self, key: bytes, limit_bytes: int) -> Arrived:
        """Return a block of at most so many stored bytes, verified.

        Raises
        ------
        MissError   saying why there is none
        """
        outcomes: list[Arrived | Miss] = []
        self.fetch_many([key], limit_bytes, lambda _, outcome: outcomes.append(outcome))
        (outcome,) = outcomes
        if isinstance(outcome, Miss):
            raise MissError(outcome)
        return outcome

    def fetch_many(
        self, keys: Sequence[bytes], limit_bytes: int, tell: Tell, end: float | None = None
    ) -> None:
        """Tell of each block, by its place in the list, what came of it.

        Several are asked for ahead, so that the server works while the last one is verified.

        Parameters
        ----------
        end : float or None   moment of ``time.monotonic`` at which all is over

        Raises
        ------
        MissError   if the connection is of no more use; the others have not been told of
        """
        fetching = Fetching(self._namespace, keys, limit_bytes, self._opening.pool, tell)
        with self._asking() as connection:
            while not fetching.is_done:
                requests = fetching.next_requests()
                if requests:
                    connection.send_packed_command(connection.pack_commands(requests))
                self._read_one(fetching, end)

    def _read_one(self, fetching: Fetching, end: float | None) -> None:
        moment = time.monotonic() + self._op_s
        is_hurried = end is not None and end < moment
        try:
            self._replies.let_until(moment if end is None else min(moment, end))
            fetching.read_one(self._replies)
        except TimeoutError:
            if not is_hurried:
                raise
            self._drop()
            raise BudgetError from None
        except MissError:
            self._drop()
            raise

    def store(self, key: bytes, framed: memoryview) -> None:
        """Store a frame; its first chunk last, so that whoever sees it sees the others too.

        Raises
        ------
        ServerError   if the server refused a chunk
        MissError     if it could not be asked
        """
        config = self._opening.config
        ttl_ms = max(1, round(config.ttl_s * 1e3))
        values = list(enumerate(chunks(framed, config.chunk_bytes)))
        with self._asking(tell_errors=True) as connection:
            for number, value in reversed(values):
                self._replies.let_until(time.monotonic() + self._op_s)
                name = chunk_name(self._namespace, key, number)
                connection.send_command("SET", name, value, "PX", ttl_ms)
                self._replies.read_response()

    def known(self, keys: Sequence[bytes]) -> list[bool]:
        """Return which blocks the server has a first chunk of; asked in one go."""
        names = [chunk_name(self._namespace, key, 0) for key in keys]
        with self._asking() as connection:
            requests = connection.pack_commands([("EXISTS", name) for name in names])
            connection.send_packed_command(requests)
            answers: list[bool | MissError] = [self._is_known() for _ in names]
        for answer in answers:
            if isinstance(answer, MissError) and answer.why is not Miss.MOVED:
                raise answer
        return [answer is True for answer in answers]

    def _is_known(self) -> bool | MissError:
        """Return one answer; an error among them must not leave the others unread."""
        try:
            return bool(self._replies.read_response())
        except ServerError as error:
            return MissError(miss_of(error), str(error))

    def probe(self) -> None:
        """Ask for a key that is not there: proof of life that every user may ask for.

        Raises
        ------
        MissError   unless the server answered as one that serves
        """
        try:
            self.fetch(PROBE_KEY, 0)
        except MissError as error:
            if error.why in (Miss.LATE, Miss.FAILED, Miss.LOADING):
                raise

    def command(self, *words: str | bytes | int) -> Any:
        """Return the small reply to any command.

        Raises
        ------
        ServerError, MissError
        """
        with self._asking(tell_errors=True) as connection:
            connection.send_command(*words)
            return self._replies.read_response()

    @property
    def is_open(self) -> bool:
        """Return whether there is a connection, good or not."""
        return self._connection is not None

    @property
    def is_ready(self) -> bool:
        """Return whether there is a connection, and nothing unasked for has come over it."""
        return self._connection is not None and not self._is_stale()

    def close(self) -> None:
        """Close the connection; the next request makes another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _drop(self) -> None:
        if self._connection is not None:
            self._opening.counters.add(connections_dropped=1)
        self.close()

    @contextlib.contextmanager
    def _asking(
        self, tell_errors: bool = False
    ) -> Iterator[Connection | UnixDomainSocketConnection]:
        """Give the connection for one request, and turn what goes wrong into a MissError."""
        try:
            connection = self._open()
            self._replies.let_until(time.monotonic() + self._op_s)
            yield connection
        except ServerError as error:
            # The reply was whole: the connection is good.
            if tell_errors:
                raise
            raise MissError(miss_of(error), str(error)) from error
        except (TimeoutError, ValkeyTimeoutError) as error:
            self._drop()
            raise MissError(Miss.LATE, f"no answer within {self._op_s * 1e3:g} ms") from error
        except (OSError, ValkeyError) as error:
            self._drop()
            raise MissError(Miss.FAILED, str(error)) from error

    def _open(self) -> Connection | UnixDomainSocketConnection:
        if self._connection is not None and self._is_stale():
            self._drop()
        if self._connection is None:
            connection = self._made()
            try:
                connection.connect()
            except ServerError as error:
                raise LoginRefusedError(str(error)) from error
            self._opening.counters.add(connects=1)
            self._connection = connection
        return self._connection

    def _is_stale(self) -> bool:
        """Return whether there is something to read that nobody asked for: an end, or a reply."""
        sock = None if self._connection is None else self._connection._sock
        if sock is None:
            return True
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

    def _made(self) -> Connection | UnixDomainSocketConnection:
        opening, endpoint = self._opening, self.endpoint
        # Its own for each: a connection that is collected late closes its parser once more.
        replies = self._replies = Replies(0)
        username, password = opening.config.credentials()
        settings: dict[str, Any] = {
            "username": username or None,
            "password": password or None,
            "socket_timeout": opening.op_s,
            "socket_connect_timeout": opening.connect_s,
            "parser_class": lambda socket_read_size: replies,
            "lib_name": None,
            "lib_version": None,
        }
        if endpoint.path:
            return UnixDomainSocketConnection(path=endpoint.path, **settings)
        settings |= {"host": endpoint.host, "port": endpoint.port}
        if opening.tls is not None:
            return _TlsConnection(opening.tls, opening.listen_s, **settings)
        return Connection(**settings)


class Links:
    """The connections of one thread, one for each endpoint."""

    def __init__(self, opening: Opening) -> None:
        """Begin without any."""
        self._opening = opening
        self._links: dict[Endpoint, Link] = {}

    def to(self, endpoint: Endpoint) -> Link:
        """Return the connection to an endpoint."""
        link = self._links.get(endpoint)
        if link is None:
            link = self._links[endpoint] = Link(endpoint, self._opening)
        return link

    def part_with(self, endpoint: Endpoint) -> Link:
        """Give the connection to an endpoint away; the next request makes another one."""
        return self._links.pop(endpoint)

    def close(self) -> None:
        """Close them all."""
        for link in self._links.values():
            link.close()
        self._links.clear()
