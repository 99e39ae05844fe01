"""One endpoint: what counts against it, and when it is full."""

import logging
import random

import pytest

from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.distributed_tier import NetworkTierConfig
from workbench.tiering.distributed_tier.address import Endpoint
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.miss import OUTAGES, Miss, MissError
from workbench.tiering.distributed_tier.node import Node


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def node(clock):
    config = NetworkTierConfig("valkey://h", breaker_wasted_s=100.0)
    return Node(Endpoint("h", 1), config, Counters(), clock, random.Random(1))


def fail(node, why):
    def work():
        raise MissError(why)

    with pytest.raises(MissError) as told:
        node.ask(work)
    return told.value.why


@pytest.mark.parametrize("why", Miss)
def test_only_outages_open_the_breaker(node, why):
    for _ in range(3):
        assert fail(node, why) is why
    assert (node.state == "down") == (why in OUTAGES)


def test_a_node_that_is_down_is_not_asked(node, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            fail(node, Miss.FAILED)
        with pytest.raises(MissError) as told:
            node.ask(lambda: pytest.fail("it was asked"))
        node.recovered()
    assert told.value.why is Miss.REFUSED
    assert node.ask(lambda: 5) == 5
    lines = [record.message for record in caplog.records]
    assert lines == [
        "network tier: h:1 is left alone: failed",
        "network tier: h:1 answers again",
    ]


def test_a_full_node_takes_writes_again_after_a_while(node, clock):
    assert not node.is_full
    node.became_full()
    assert (node.is_full, node.state) == (True, "full")
    assert node.ask(lambda: "read") == "read"
    clock.sleep(1.0)
    assert (node.is_full, node.state) == (False, "ok")
