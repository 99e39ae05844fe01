"""One connection: what servers answer, however wrong, becomes a block or a reason why not."""

import time

import pytest
from valkey import Valkey

from tests.network.fault_proxy import Fault, FaultProxy
from tests.network.scripted_server import ScriptedServer, as_usual, bulk
from tests.network.tiers import SLACK_S, hasty, key, patient, server, value
from workbench.tiering.distributed_tier.address import parse
from workbench.tiering.distributed_tier.counters import Counters
from workbench.tiering.distributed_tier.link import Link, Opening
from workbench.tiering.distributed_tier.miss import Miss, MissError
from workbench.tiering.distributed_tier.replies import ServerError
from workbench.tiering.distributed_tier.wire_form import copied, wrap
from workbench.tiering.ssd_tier.buffer_pool import BufferPool
from workbench.tiering.ssd_tier.frame import Attributes

LIMIT = 1 << 20
CHUNK = 4096


@pytest.fixture(scope="module")
def running():
    with server() as one:
        yield one


@pytest.fixture
def client(running):
    with Valkey(port=running.port) as one:
        one.flushall()
        yield one


def opened(url, make=patient, **settings):
    config = make(url, chunk_bytes=CHUNK, **settings)
    times = (config.connect_timeout_s, config.op_timeout_s)
    opening = Opening(config, None, Counters(), BufferPool(1 << 24), *times)
    return Link(parse(url).endpoints[0], opening)


@pytest.fixture
def link(running, client):
    one = opened(running.url)
    yield one
    one.close()


def framed(stored, number=1):
    room = copied(memoryview(stored))
    wrap(key(number), room, Attributes())
    return room


def why(link, limit=LIMIT):
    with pytest.raises(MissError) as told:
        link.fetch(key(1), limit)
    return told.value.why


def name(number, chunk):
    return b"kv:{%s}:%d" % (key(number).hex().encode(), chunk)


@pytest.mark.parametrize("n_bytes", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 40 * CHUNK + 3])
def test_a_block_comes_back_as_it_went(link, n_bytes):
    stored = value(1, n_bytes)
    link.store(key(1), framed(stored))
    arrived = link.fetch(key(1), LIMIT)
    assert arrived.stored == stored
    assert arrived.stored.readonly
    assert link.known([key(2), key(1)]) == [False, True]


def test_it_lies_there_in_chunks_that_end_by_themselves(link, client):
    link.store(key(1), framed(value(1, 10_000)))
    assert sorted(client.keys()) == [name(1, chunk) for chunk in range(3)]
    assert all(0 < client.pttl(name(1, chunk)) <= 86_400_000 for chunk in range(3))


def test_an_unknown_block_is_absent(link):
    assert why(link) is Miss.ABSENT


@pytest.mark.parametrize("chunk", [1, 2])
def test_a_missing_chunk_makes_a_partial_block(link, client, chunk):
    link.store(key(1), framed(value(1, 10_000)))
    client.delete(name(1, chunk))
    assert why(link) is Miss.PARTIAL
    client.delete(name(1, 0))
    assert why(link) is Miss.ABSENT


@pytest.mark.parametrize("chunk", [0, 1, 2])
@pytest.mark.parametrize("change", ["shorter", "longer", "other", "empty"])
def test_a_changed_chunk_makes_a_damaged_block(link, client, chunk, change):
    link.store(key(1), framed(value(1, 10_000)))
    there = client.get(name(1, chunk))
    changed = {
        "shorter": there[:-1],
        "longer": there + b"x",
        "other": there[:-1] + bytes([there[-1] ^ 1]),
        "empty": b"",
    }[change]
    client.set(name(1, chunk), changed)
    assert why(link) in (Miss.DAMAGED, Miss.PARTIAL)
    link.store(key(1), framed(value(1, 10_000)))
    assert link.fetch(key(1), LIMIT).stored == value(1, 10_000)


def test_another_type_is_a_miss_of_its_own(link, client):
    client.rpush(name(1, 0), "item")
    assert why(link) is Miss.WRONG_TYPE


def test_another_block_s_frame_is_damage(link):
    room = framed(value(2), number=2)
    link.store(key(1), room)
    assert why(link) is Miss.DAMAGED


def test_a_block_above_the_limit_takes_no_memory(link):
    link.store(key(1), framed(value(1, 20_000)))
    assert why(link, 19_999) is Miss.TOO_LARGE
    assert link._opening.pool.held_bytes == 0
    assert link.fetch(key(1), 20_000).stored == value(1, 20_000)


def test_an_announced_giant_is_left_unread():
    with ScriptedServer(lambda words: b"$536870912\r\n" + b"x" * 4096) as scripted:
        link = opened(scripted.url)
        assert why(link) is Miss.TOO_LARGE
        assert link._opening.pool.held_bytes == 0


def test_a_late_reply_never_reaches_the_next_request():
    """The first GET is answered too late, with a whole, valid block of another key's request."""
    late = bulk(bytes(framed(value(1))))

    def script(words):
        if name(1, 0) in words:
            time.sleep(0.6)
            return late
        return as_usual(words)

    with ScriptedServer(script) as scripted:
        link = opened(scripted.url, hasty)
        started = time.monotonic()
        assert why(link) is Miss.LATE
        assert time.monotonic() - started < 0.25 + SLACK_S
        with pytest.raises(MissError) as told:
            link.fetch(key(2), LIMIT)
        assert told.value.why is Miss.ABSENT
        assert scripted.n_connections == 2


def test_a_reply_that_nobody_asked_for_closes_the_connection():
    with ScriptedServer(lambda words: b"$-1\r\n" + bulk(bytes(framed(value(1))))) as scripted:
        link = opened(scripted.url)
        assert why(link) is Miss.ABSENT
        time.sleep(0.05)
        assert why(link) is Miss.ABSENT
        assert scripted.n_connections == 2
        link.close()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"-LOADING wait\r\n", Miss.LOADING),
        (b"-MOVED 1 127.0.0.1:1\r\n", Miss.MOVED),
        (b"-CLUSTERDOWN no\r\n", Miss.MOVED),
        (b"-ERR max number of clients reached\r\n", Miss.DENIED),
        (b"-NOPERM no\r\n", Miss.DENIED),
        (b":1\r\n", Miss.FAILED),
        (b"+OK\r\n", Miss.FAILED),
        (b"HTTP/1.1 400 Bad Request\r\n", Miss.FAILED),
        (b"$3\r\nabc\r\n", Miss.DAMAGED),
    ],
)
def test_every_other_answer_is_a_miss(said, reason):
    with ScriptedServer(lambda words: said) as scripted:
        link = opened(scripted.url)
        assert why(link) is reason
        link.close()


def test_a_read_only_server_refuses_writes_in_its_own_words():
    with ScriptedServer(lambda words: b"-READONLY replica\r\n") as scripted:
        link = opened(scripted.url)
        with pytest.raises(ServerError, match="READONLY"):
            link.store(key(1), framed(value(1)))
        link.close()


def test_one_moved_key_hides_no_others():
    answers = {name(1, 0): b":1\r\n", name(2, 0): b"-MOVED 5 h:1\r\n", name(3, 0): b":1\r\n"}
    with ScriptedServer(lambda words: answers[words[1]]) as scripted:
        link = opened(scripted.url)
        assert link.known([key(1), key(2), key(3)]) == [True, False, True]
        link.close()


FAULTS = {
    "cut in the header": (Fault(cut_after_bytes=100), Miss.FAILED),
    "cut in the bytes": (Fault(cut_after_bytes=5_000), Miss.FAILED),
    "cut between chunks": (Fault(cut_after_bytes=4_400), Miss.FAILED),
    "slow drip": (Fault(delay_s=0.05, drip_bytes=10), Miss.LATE),
    "long latency": (Fault(delay_s=2.0), Miss.LATE),
    "black hole": (Fault(swallow=True), Miss.LATE),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoilt_connection_gives_no_block_and_is_over_in_time(link, running, fault):
    spoilt, reason = FAULTS[fault]
    link.store(key(1), framed(value(1, 10_000)))
    with FaultProxy(running.port) as proxy:
        through = opened(f"valkey://127.0.0.1:{proxy.port}", hasty)
        assert through.fetch(key(1), LIMIT).stored == value(1, 10_000)
        proxy.fault = spoilt
        started = time.monotonic()
        assert why(through) is reason
        assert time.monotonic() - started < 0.25 + SLACK_S
        proxy.fault = Fault()
        assert through.fetch(key(1), LIMIT).stored == value(1, 10_000)
        through.close()


def test_some_latency_only_costs_time(link, running):
    link.store(key(1), framed(value(1, 10_000)))
    with FaultProxy(running.port) as proxy:
        proxy.fault = Fault(delay_s=0.005, drip_bytes=2_000)
        through = opened(f"valkey://127.0.0.1:{proxy.port}")
        assert through.fetch(key(1), LIMIT).stored == value(1, 10_000)
        through.close()


def test_every_flipped_bit_on_the_way_is_seen(link, running):
    """Whatever a bit hits, length, header or payload, no wrong byte gets through."""
    link.store(key(1), framed(value(1, 300)))
    with FaultProxy(running.port) as proxy:
        through = opened(f"valkey://127.0.0.1:{proxy.port}", hasty)
        reasons = set()
        for bit in range(0, 8 * 560, 29):

            def flip(piece, bit=bit):
                changed = bytearray(piece)
                if bit // 8 < len(changed):
                    changed[bit // 8] ^= 1 << bit % 8
                return bytes(changed)

            proxy.fault = Fault(change=flip)
            reasons.add(why(through))
        assert Miss.DAMAGED in reasons
        proxy.fault = Fault()
        assert through.fetch(key(1), LIMIT).stored == value(1, 300)
        through.close()


def test_a_connection_cut_while_idle_is_made_anew_without_a_miss(link, running):
    link.store(key(1), framed(value(1)))
    with FaultProxy(running.port) as proxy:
        through = opened(f"valkey://127.0.0.1:{proxy.port}")
        assert through.fetch(key(1), LIMIT).stored == value(1)
        proxy.cut()
        time.sleep(0.05)
        assert through.fetch(key(1), LIMIT).stored == value(1)
        through.close()
