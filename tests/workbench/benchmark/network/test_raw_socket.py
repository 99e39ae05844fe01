"""Whole values come in order; a missing one, or one of another length, is told of."""

from __future__ import annotations

import pytest
from valkey import Valkey

from workbench.benchmark.network.raw_socket import RawSocket
from workbench.tiering.distributed_tier import EmbeddedServer


@pytest.fixture(scope="module")
def server():
    with EmbeddedServer(64 << 20) as one:
        client = Valkey(port=one.port)
        for number in range(20):
            client.set(b"value %d" % number, bytes([number]) * (1000 * number + 1))
        yield one


def test_values_of_several_lengths_come_in_order(server):
    values = [(b"value %d" % number, 1000 * number + 1) for number in range(20)]
    with RawSocket(server.port, 20_000) as raw:
        raw.get_many(values)
        raw.get_many(values, ahead=1)
        # The last one lies in memory, behind the line with its length.
        assert bytes(raw._room[:10]) == b"$19001\r\n" + bytes([19, 19])


@pytest.mark.parametrize(("name", "n_bytes"), [(b"nothing", 100), (b"value 3", 3000)])
def test_what_is_not_there_as_it_should_be_is_told(server, name, n_bytes):
    with RawSocket(server.port, 10_000) as raw, pytest.raises(RuntimeError, match="another value"):
        raw.get_many([(name, n_bytes)])
