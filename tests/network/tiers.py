"""Blocks that say what they are, and tiers on a machine that is busy with other tests."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from workbench.tiering.distributed_tier import EmbeddedServer, NetworkTier, NetworkTierConfig

# What a request may be late by on a loaded machine before a test says that it hung.
SLACK_S = 1.0


def patient(url: str, **settings: Any) -> NetworkTierConfig:
    """Return a configuration whose time-outs a loaded machine does not reach."""
    chosen = {"connect_timeout_s": 5.0, "op_timeout_s": 5.0, "start_timeout_s": 10.0, **settings}
    return NetworkTierConfig(url, **chosen)


def hasty(url: str, **settings: Any) -> NetworkTierConfig:
    """Return a configuration for servers that will not answer, or a moment later."""
    chosen = {"connect_timeout_s": 0.25, "op_timeout_s": 0.25, "probe_every_s": 0.2, **settings}
    return NetworkTierConfig(url, **chosen)


def key(number: int, salt: str = "") -> bytes:
    """Return the key of a number."""
    return hashlib.sha256(f"{salt}{number}".encode()).digest()


def value(number: int, n_bytes: int = 10_000, version: int = 0) -> bytes:
    """Return bytes of which every 32 tell the number and version, and where they stand."""
    seed = b"%d %d " % (number, version)
    parts = [hashlib.sha256(seed + b"%d" % at).digest() for at in range(-(-n_bytes // 32))]
    return b"".join(parts)[:n_bytes]


@contextlib.contextmanager
def server(**settings: Any) -> Iterator[EmbeddedServer]:
    """Run a server of 256 MiB."""
    with EmbeddedServer(256 << 20, **settings) as one:
        yield one


@contextlib.contextmanager
def tier_on(url: str, **settings: Any) -> Iterator[NetworkTier]:
    """Run a patient tier, and check its sums afterwards."""
    with NetworkTier.open(patient(url, **settings)) as tier:
        yield tier
    tier.stats().check()


def stored(tier: NetworkTier, *numbers: int, n_bytes: int = 10_000) -> None:
    """Put blocks and wait until they are on the server."""
    for number in numbers:
        if not tier.put(key(number), value(number, n_bytes)):
            # The queue is full: let it empty.
            assert tier.flush(30.0)
            assert tier.put(key(number), value(number, n_bytes))
    assert tier.flush(30.0)


def read(tier: NetworkTier, number: int) -> bytes | None:
    """Return a block as bytes."""
    found = tier.get(key(number))
    return None if found is None else bytes(found)


def until(holds: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Wait for something that takes its time; return whether it happened."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, nor 10,000 above (a cluster's bus)."""
    found: list[int] = []
    held: list[socket.socket] = []
    while len(found) < count:
        probe = socket.create_server(("127.0.0.1", 0))
        held.append(probe)
        port = int(probe.getsockname()[1])
        if port < 55_000 and port > 20_000:
            found.append(port)
    for probe in held:
        probe.close()
    return found
