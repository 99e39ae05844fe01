"""A real cluster of three masters: every slot, a dead node, its return, and a moved slot."""

import time

import pytest

from tests.network.cluster import N_SLOTS, Cluster
from tests.network.tiers import SLACK_S, hasty, key, stored, until, value
from workbench.tiering.distributed_tier import NetworkTier
from workbench.tiering.distributed_tier.topology import slot_of

NUMBERS = range(120)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    one = Cluster(tmp_path_factory.mktemp("cluster"))
    yield one
    one.close()


@pytest.fixture
def tier(cluster):
    with NetworkTier.open(hasty(cluster.url, op_timeout_s=1.0, chunk_bytes=4096)) as one:
        assert one.wait_for_health(30.0)
        yield one
    one.stats().check()


def found(tier):
    blocks = tier.get_many([key(number) for number in NUMBERS])
    assert all(
        one is None or one == value(number) for number, one in zip(NUMBERS, blocks, strict=True)
    )
    return [one is not None for one in blocks]


def on(node_number):
    return [slot_of(key(number)) * 3 // N_SLOTS == node_number for number in NUMBERS]


def test_blocks_of_every_node_come_back_and_a_dead_node_takes_only_its_own(cluster, tier):
    stored(tier, *NUMBERS)
    assert all(sum(on(node)) > 20 for node in range(3))
    assert found(tier) == [True] * len(NUMBERS)
    assert tier.contains_many([key(number) for number in NUMBERS]) == [True] * len(NUMBERS)
    assert len(tier.stats().nodes) == 3

    cluster.nodes[1].kill()
    alive = [not is_on for is_on in on(1)]
    assert until(lambda: found(tier) == alive)
    started = time.monotonic()
    assert found(tier) == alive
    assert tier.contains_many([key(number) for number in NUMBERS]) == alive
    assert time.monotonic() - started < 2 * (1.0 + SLACK_S)
    assert tier.health == "degraded"
    assert sorted(state for _, state in tier.stats().nodes) == ["down", "ok", "ok"]

    cluster.nodes[1].start()
    assert until(cluster.is_whole, 60.0)
    assert tier.wait_for_health(30.0)
    stored(tier, *NUMBERS)
    assert found(tier) == [True] * len(NUMBERS)


def test_a_moved_slot_is_a_miss_until_the_map_is_read_anew(cluster, tier):
    number = next(number for number in NUMBERS if on(0)[number])
    slot, taker = slot_of(key(number)), cluster.nodes[2]
    tier.get(key(number))
    for node in cluster.nodes:
        node.ask("FLUSHALL")
    identity = taker.ask("CLUSTER", "MYID").decode()
    cluster.nodes[0].ask("CLUSTER", "SETSLOT", slot, "MIGRATING", identity)
    giver = cluster.nodes[0].ask("CLUSTER", "MYID").decode()
    taker.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", giver)
    for node in (taker, cluster.nodes[0], cluster.nodes[1]):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", identity)
    assert tier.get(key(number)) is None
    assert tier.stats().counts.misses_moved >= 1

    def is_kept():
        tier.put(key(number), value(number))
        tier.flush()
        return tier.get(key(number)) == value(number)

    assert until(is_kept)
