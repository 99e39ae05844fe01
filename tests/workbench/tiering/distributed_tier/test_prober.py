"""Probes find out when an endpoint is back, without anybody's request."""

import random

from tests.network.scripted_server import ScriptedServer, as_usual
from tests.network.tiers import patient, until
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.distributed_tier.address import parse
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.link import Links, Opening
from workbench.tiering.distributed_tier.node import Node
from workbench.tiering.distributed_tier.prober import Prober, refresh
from workbench.tiering.distributed_tier.topology import Topology
from workbench.tiering.ssd_tier.buffer_pool import BufferPool


def parts(url, cluster=False):
    config, counters, clock = patient(url), Counters(), VirtualClock()
    opening = Opening(config, None, counters, BufferPool(1 << 20), 5.0, 5.0)
    chance = random.Random(1)
    endpoints = parse(url).endpoints
    topology = Topology(
        endpoints, cluster, lambda one: Node(one, config, counters, clock, chance)
    )  # fmt: skip
    return opening, topology, counters, clock


def test_a_node_that_is_up_is_never_probed_and_one_that_is_down_once_an_interval():
    said = [b"-LOADING wait\r\n"]
    with ScriptedServer(lambda words: said[0]) as server:
        opening, topology, counters, clock = parts(server.url)
        (node,) = topology.nodes()
        prober = Prober(opening, topology)
        prober.look()
        assert server.commands == []
        node.give_up("test")
        clock.sleep(1.0)
        assert until(lambda: counters.read().probes == 1)
        assert until(lambda: len(server.commands) == 1)
        prober.look()
        assert counters.read().probes == 1
        assert node.state == "down"
        said[0] = b"-NOPERM but alive\r\n"
        clock.sleep(1.0)
        assert until(lambda: node.state == "ok")
        assert counters.read().recoveries == 1
        prober.close(10.0)


def test_the_map_is_read_from_the_first_node_that_tells_it():
    told = b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$1\r\nh\r\n:7\r\n"
    with (
        ScriptedServer(lambda words: b"-ERR cluster support disabled\r\n") as bad,
        ScriptedServer(lambda words: b"$-1\r\n") as strange,
        ScriptedServer(lambda words: told) as good,
    ):
        places = ",".join(one.url.partition("//")[2] for one in (bad, strange, good))
        opening, topology, _, _ = parts(f"valkey+cluster://{places}", cluster=True)
        links = Links(opening)
        assert refresh(topology, links)
        assert topology.node_of(bytes(32)).endpoint.host == "h"
        good.script = as_usual
        assert not refresh(topology, links)
        links.close()
