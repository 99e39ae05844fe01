"""Blocks put together from values in any number of chunks, on a socket pair."""

import queue
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from tests.network.scripted_server import bulk
from tests.network.tiers import key, value
from workbench.tiering.distributed_tier.fetching import Arrived, Fetching, miss_of
from workbench.tiering.distributed_tier.miss import Miss, MissError
from workbench.tiering.distributed_tier.replies import Replies, ServerError
from workbench.tiering.distributed_tier.wire_form import chunk_name, chunks, copied, wrap
from workbench.tiering.ssd_tier.buffer_pool import BufferPool
from workbench.tiering.ssd_tier.frame import Attributes

CHUNK = 4096


def send_all(sock, to_send):
    while (sent := to_send.get()) is not None:
        sock.sendall(sent)


class Store:
    """Values by name, and the fetching of some keys from them; errors are strings."""

    def __init__(self, sizes):
        self.values = {}
        for number, n_bytes in enumerate(sizes):
            room = copied(memoryview(value(number, n_bytes)))
            wrap(key(number), room, Attributes())
            for at, chunk in enumerate(chunks(room, CHUNK)):
                self.values[chunk_name(b"kv", key(number), at)] = bytes(chunk)
        self.most_asked = 0

    def fetch(self, numbers, limit=1 << 20):
        ours, theirs = socket.socketpair()
        replies, told = Replies(0), {}
        replies.on_connect(SimpleNamespace(_sock=ours))
        replies.let_until(time.monotonic() + 20)
        keys = [key(number) for number in numbers]

        def tell(at, outcome):
            assert at not in told, "told twice"
            told[at] = outcome

        fetching = Fetching(b"kv", keys, limit, BufferPool(1 << 24), tell)
        to_send = queue.SimpleQueue()
        sender = threading.Thread(target=send_all, args=(theirs, to_send))
        sender.start()
        try:
            while not fetching.is_done:
                requests = fetching.next_requests()
                to_send.put(b"".join(self.answer(name) for _, name in requests))
                self.most_asked = max(self.most_asked, len(fetching._asked))
                fetching.read_one(replies)
        finally:
            to_send.put(None)
            sender.join()
            ours.close()
            theirs.close()
        return [told[at] for at in range(len(numbers))]

    def answer(self, name):
        found = self.values.get(name)
        if found is None:
            return b"$-1\r\n"
        return found.encode() if isinstance(found, str) else bulk(found)


def told(outcomes):
    return [bytes(one.stored) if isinstance(one, Arrived) else one for one in outcomes]


def test_blocks_of_one_and_of_many_chunks_come_in_one_request():
    sizes = [10, 5 * CHUNK, 0, CHUNK, 3 * CHUNK + 1, 50 * CHUNK]
    store = Store(sizes)
    numbers = [0, 1, 2, 99, 3, 4, 5, 1]
    assert told(store.fetch(numbers)) == [
        Miss.ABSENT if number == 99 else value(number, sizes[number]) for number in numbers
    ]
    assert store.most_asked <= 8


@pytest.mark.parametrize("lost", range(1, 5))
@pytest.mark.parametrize("what", [None, "-WRONGTYPE no\r\n", b"", b"x" * 5000])
def test_one_bad_chunk_spoils_its_block_alone(lost, what):
    store = Store([5 * CHUNK, 5 * CHUNK, 100])
    name = chunk_name(b"kv", key(1), lost)
    store.values.pop(name)
    if what is not None:
        store.values[name] = what
    first, spoilt, last = told(store.fetch([0, 1, 2]))
    assert (first, last) == (value(0, 5 * CHUNK), value(2, 100))
    assert spoilt in (Miss.PARTIAL, Miss.WRONG_TYPE, Miss.DAMAGED)


def test_a_server_that_is_not_ready_ends_the_request():
    store = Store([10])
    store.values[chunk_name(b"kv", key(0), 0)] = "-LOADING wait\r\n"
    with pytest.raises(MissError) as error:
        store.fetch([0])
    assert error.value.why is Miss.LOADING


def test_error_replies_are_told_apart():
    said = {"LOADING x": Miss.LOADING, "MOVED 1 a": Miss.MOVED, "ERR x": Miss.DENIED}
    assert {text: miss_of(ServerError(text)) for text in said} == said
