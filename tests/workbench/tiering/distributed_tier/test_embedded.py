"""The embedded server: in memory, on loopback, bounded, and gone afterwards."""

import os

import pytest
from valkey import Valkey

from tests.network.tiers import read, server, stored, tier_on, until, value
from workbench.errors import UsageError
from workbench.tiering.distributed_tier import EmbeddedServer, ServerStartError


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_listens_on_loopback_keeps_nothing_and_ends():
    with EmbeddedServer(64 << 20) as one:
        with Valkey(port=one.port) as client:
            said = {
                name: client.config_get(name)[name]
                for name in ("bind", "save", "appendonly", "maxmemory", "maxmemory-policy")
            }
        pid = one.pid
    assert said == {
        "bind": "127.0.0.1",
        "save": "",
        "appendonly": "no",
        "maxmemory": str(64 << 20),
        "maxmemory-policy": "allkeys-lru",
    }
    assert until(lambda: not is_alive(pid))
    with pytest.raises(ServerStartError):
        _ = one.pid
    one.close()


def test_two_run_side_by_side():
    with server() as one, server() as two:
        assert one.port != two.port


def test_it_can_listen_on_a_socket_alone(tmp_path):
    with server(socket_path=tmp_path / "s") as one, tier_on(one.url) as tier:
        stored(tier, 1)
        assert read(tier, 1) == value(1)
        assert one.url.startswith("valkey+unix://")


def test_what_cannot_start_says_why():
    with pytest.raises(UsageError, match="memory_bytes"):
        EmbeddedServer(1000)
    with server() as one, pytest.raises(ServerStartError, match="url"):
        EmbeddedServer(port=one.port)
    with pytest.raises(ServerStartError):
        EmbeddedServer(settings={"no-such-setting": 1})
