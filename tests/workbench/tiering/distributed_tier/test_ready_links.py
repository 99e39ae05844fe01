"""Idle connections: lent once at a time, looked at before, bounded, closed in the end."""

import pytest

from tests.network.scripted_server import ScriptedServer, as_usual
from tests.network.tiers import patient, until
from workbench.tiering.distributed_tier.address import parse
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.link import Link, Opening
from workbench.tiering.distributed_tier.ready_links import ReadyLinks
from workbench.tiering.ssd_tier.buffer_pool import BufferPool


@pytest.fixture
def scripted():
    with ScriptedServer(as_usual) as one:
        yield one


def link(scripted):
    opening = Opening(patient(scripted.url), None, Counters(), BufferPool(1 << 20), 5.0, 5.0)
    one = Link(parse(scripted.url).endpoints[0], opening)
    one.probe()
    return one


def test_a_connection_is_lent_to_one_at_a_time(scripted):
    ready, one = ReadyLinks(2), link(scripted)
    assert ready.take(one.endpoint) is None
    ready.add(one)
    assert ready.take(one.endpoint) is one
    assert ready.take(one.endpoint) is None
    ready.give_back(one)
    assert ready.take(one.endpoint) is one
    ready.drop(one)


def test_no_more_are_wanted_than_it_keeps_those_that_are_lent_included(scripted):
    ready, several = ReadyLinks(2), [link(scripted) for _ in range(2)]
    endpoint = several[0].endpoint
    for one in several:
        assert ready.wants(endpoint)
        ready.add(one)
    assert not ready.wants(endpoint)
    lent = ready.take(endpoint)
    assert not ready.wants(endpoint)
    lent.close()
    ready.give_back(lent)
    assert ready.wants(endpoint)
    ready.close()
    assert not ready.wants(endpoint)


def test_one_that_broke_while_idle_is_not_lent(scripted):
    ready, one = ReadyLinks(1), link(scripted)
    ready.add(one)
    scripted.close()
    assert until(lambda: not one.is_ready)
    assert ready.take(one.endpoint) is None
    assert ready.wants(one.endpoint)


def test_after_closing_what_comes_back_is_closed(scripted):
    ready, lent, idle = ReadyLinks(2), link(scripted), link(scripted)
    ready.add(lent)
    assert ready.take(lent.endpoint) is lent
    ready.add(idle)
    ready.close()
    assert not idle.is_ready
    ready.give_back(lent)
    assert not lent.is_ready
