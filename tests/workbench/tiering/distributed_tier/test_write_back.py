"""The write-back queue: bounded, counted, and never in anybody's way."""

import random

import pytest

from tests.network.scripted_server import ScriptedServer, as_usual
from tests.network.tiers import key, patient, until, value
from workbench.tiering.async_io.clock import RealClock
from workbench.tiering.distributed_tier.address import parse
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.link import Opening
from workbench.tiering.distributed_tier.node import Node
from workbench.tiering.distributed_tier.wire_form import copied
from workbench.tiering.distributed_tier.write_back import Offer, WriteBack
from workbench.tiering.ssd_tier.buffer_pool import BufferPool
from workbench.tiering.ssd_tier.frame import Attributes


class Bench:
    """A queue before a scripted server that answers only once it is let."""

    def __init__(self, **settings):
        self.let = False
        self.said = b"+OK\r\n"
        self.server = ScriptedServer(self._answer)
        config = patient(self.server.url, **settings)
        self.counters = Counters()
        self.opening = Opening(config, None, self.counters, BufferPool(1 << 20), 5.0, 5.0)
        endpoint = parse(self.server.url).endpoints[0]
        self.node = Node(endpoint, config, self.counters, RealClock(), random.Random(1))
        self.queue = WriteBack(self.opening)

    def _answer(self, words):
        if words[0] != b"SET":
            return as_usual(words)
        until(lambda: self.let)
        return self.said

    def offer(self, number, n_bytes=1000):
        room = copied(memoryview(value(number, n_bytes)))
        return self.queue.offer(Offer(self.node, key(number), room, Attributes()))

    def close(self):
        self.let = True
        self.queue.close(10.0)
        self.server.close()


@pytest.fixture
def made():
    several = []

    def make(**settings):
        several.append(Bench(**settings))
        return several[-1]

    yield make
    for bench in several:
        bench.close()


def test_blocks_beyond_the_limit_are_dropped_and_counted(made):
    bench = made(write_queue_blocks=2)
    assert bench.offer(0)
    assert until(lambda: bench.server.commands)  # in hand, no more in the queue
    assert [bench.offer(number) for number in range(1, 5)] == [True, True, False, False]
    assert not bench.queue.flush(0.05)
    bench.let = True
    assert bench.queue.flush(20.0)
    counts = bench.counters.read()
    assert (counts.puts, counts.puts_written, counts.puts_dropped) == (5, 3, 2)
    assert counts.written_bytes == 3000


def test_bytes_are_bounded_too(made):
    bench = made(write_queue_bytes=2500)
    assert bench.offer(0)
    assert until(lambda: bench.server.commands)
    assert [bench.offer(1, 2000), bench.offer(2, 501), bench.offer(3, 500)] == [True, False, True]
    assert bench.queue.waiting_bytes == 2500


def test_a_server_without_memory_is_full_and_left_in_peace(made):
    bench = made()
    bench.said, bench.let = b"-OOM command not allowed\r\n", True
    for number in range(3):
        bench.offer(number)
    assert bench.queue.flush(20.0)
    counts = bench.counters.read()
    assert (counts.out_of_memory, counts.puts_failed, counts.puts_refused) == (1, 1, 2)
    assert bench.node.state == "full"


def test_a_read_only_server_fails_writes_and_is_not_down(made):
    bench = made()
    bench.said, bench.let = b"-READONLY replica\r\n", True
    for number in range(5):
        bench.offer(number)
    assert bench.queue.flush(20.0)
    assert bench.counters.read().puts_failed == 5
    assert bench.node.state == "ok"


def test_a_loading_server_opens_the_breaker(made):
    bench = made()
    bench.said, bench.let = b"-LOADING wait\r\n", True
    for number in range(5):
        bench.offer(number)
    assert bench.queue.flush(20.0)
    counts = bench.counters.read()
    assert (counts.puts_failed, counts.puts_refused) == (3, 2)
    assert bench.node.state == "down"


def test_closing_drops_what_waits_and_the_sums_hold(made):
    bench = made()
    for number in range(4):
        bench.offer(number)
    assert until(lambda: bench.server.commands)
    bench.close()
    counts = bench.counters.read()
    assert (counts.puts_written, counts.puts_dropped, counts.puts) == (1, 3, 4)
    assert not bench.offer(9)
