"""Read the address of a server, and keep its password out of everything that is shown.

Follows: the URL schemes of valkey-py and redis-py, ``+cluster`` and ``+unix`` added.
Leaves out: databases other than 0; a cluster has only that one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from workbench.errors import UsageError

DEFAULT_PORT = 6379
_URL = re.compile(
    r"(?P<scheme>valkeys?|rediss?)(?P<kind>\+cluster|\+unix)?://"
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>[^@]*))?@)?(?P<rest>[^@]*)"
)
_SECRET = re.compile(r"://([^:@/]*):.*@", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where one server listens; with a path the port is 0 and the host empty."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says.

    Attributes
    ----------
    endpoints : tuple of Endpoint   one, or any of a cluster's nodes
    tls, cluster : bool
    username, password : str        "" when the URL names none
    """

    endpoints: tuple[Endpoint, ...]
    tls: bool
    cluster: bool
    username: str = ""
    password: str = field(default="", repr=False)


def redacted(url: str) -> str:
    """Return a URL, or text with one, without its password."""
    return _SECRET.sub(r"://\1:***@", url)


def parse(url: str) -> Address:
    """Return what a URL says.

    Raises
    ------
    UsageError   if it is none of a Valkey or Redis server; never with the password in it
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise UsageError(
            f"url={redacted(url)!r} is no address of a server; give valkey://host:port, "
            "valkeys://host:port (TLS), valkey+cluster://host:port,host:port or valkey+unix:///path"
        )
    kind = found["kind"] or ""
    tls = found["scheme"] in ("valkeys", "rediss")
    if kind == "+unix":
        endpoints = _unix(url, found["rest"], tls)
    else:
        endpoints = _hosts(url, found["rest"], several=kind == "+cluster")
    return Address(
        endpoints,
        tls,
        kind == "+cluster",
        unquote(found["user"] or ""),
        unquote(found["password"] or ""),
    )


def _unix(url: str, path: str, tls: bool) -> tuple[Endpoint, ...]:
    if not path.startswith("/") or tls:
        raise UsageError(f"url={redacted(url)!r} must be valkey+unix:///path, without TLS")
    return (Endpoint("", 0, path),)


def _hosts(url: str, rest: str, several: bool) -> tuple[Endpoint, ...]:
    hosts, _, database = rest.partition("/")
    parts = hosts.split(",")
    if database not in ("", "0"):
        raise UsageError(f"url={redacted(url)!r} names database {database!r}; only 0 is used")
    if len(parts) > 1 and not several:
        raise UsageError(f"url={redacted(url)!r} names several servers; give valkey+cluster://")
    return tuple(_endpoint(url, part) for part in parts)


def _endpoint(url: str, part: str) -> Endpoint:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::([0-9]{1,5}))?", part)
    port = int(found[3] or DEFAULT_PORT) if found else 0
    if found is None or not 1 <= port <= 65535:
        raise UsageError(
            f"url={redacted(url)!r}: {part!r} is no host:port; give a name or address and 1..65535"
        )
    return Endpoint(found[1] or found[2], port)
