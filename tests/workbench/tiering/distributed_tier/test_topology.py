"""Which node has a block: the map of slots, and lists of slots that cannot be."""

import random

import pytest

from tests.network.tiers import key
from workbench.tiering.async_io.clock import RealClock
from workbench.tiering.distributed_tier import NetworkTierConfig
from workbench.tiering.distributed_tier.address import Endpoint
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.node import Node
from workbench.tiering.distributed_tier.topology import Topology, slot_of

A, B = Endpoint("a", 1), Endpoint("b", 2)


def topology(*endpoints, cluster=True):
    config = NetworkTierConfig("valkey://h")
    counters, clock, chance = Counters(), RealClock(), random.Random(1)
    return Topology(
        endpoints, cluster, lambda one: Node(one, config, counters, clock, chance)
    )  # fmt: skip


def test_one_server_has_everything():
    one = topology(A, cluster=False)
    assert not one.is_outdated
    assert {one.node_of(key(number)).endpoint for number in range(20)} == {A}


def test_of_a_cluster_nothing_is_known_at_first():
    assert topology(A).node_of(key(1)) is None


def test_a_cluster_s_own_list_says_who_has_what_and_keeps_what_is_known_of_a_node():
    one = topology(A)
    known = one.nodes()[0]
    one.learn(A, [[0, 8191, [b"", 1, b"id"]], [8192, 16383, [b"b", 2, b"id"], [b"c", 3, b"id"]]])
    assert not one.is_outdated
    assert [node.endpoint for node in one.nodes()] == [A, B]
    assert one.nodes()[0] is known
    for number in range(50):
        expected = A if slot_of(key(number)) < 8192 else B
        assert one.node_of(key(number)).endpoint == expected


def test_a_list_with_holes_is_asked_for_again():
    one = topology(A)
    one.learn(A, [[0, 100, [b"a", 1]]])
    assert one.is_outdated


@pytest.mark.parametrize(
    "slots",
    [
        [[0, 16384, [b"a", 1]]],
        [[5, 4, [b"a", 1]]],
        [[-1, 4, [b"a", 1]]],
        [[0, 5, [b"a", 0]]],
        [[0, 5]],
        [[0, 5, b"a"]],
        [7],
        None,
    ],
)
def test_a_list_that_cannot_be_changes_nothing(slots):
    one = topology(A)
    one.learn(A, [[0, 16383, [b"a", 1]]])
    with pytest.raises(ValueError, match="slots"):
        one.learn(A, slots)
    assert one.node_of(key(1)).endpoint == A


def test_the_map_is_in_doubt_while_a_node_is_down():
    one = topology(A)
    one.learn(A, [[0, 16383, [b"b", 2]]])
    assert [node.endpoint for node in one.nodes()] == [B]
    assert not one.is_doubtful
    one.nodes()[0].give_up("test")
    assert one.is_doubtful
    # The seed still answers, though it has no slots: it is asked first.
    assert [node.endpoint for node in one.advisers()] == [A, B]
    assert not topology(A, cluster=False).is_doubtful
