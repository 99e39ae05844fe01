"""Replies, read from a socket pair, in pieces of every size."""

import random
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from workbench.tiering.distributed_tier.replies import Replies, ServerError, StrangeReplyError


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    replies = Replies(0)
    replies.on_connect(SimpleNamespace(_sock=ours))
    replies.let_until(time.monotonic() + 20)
    yield replies, theirs
    ours.close()
    theirs.close()


def send_in_pieces(sock, sent, seed):
    chance = random.Random(seed)

    def run():
        at = 0
        while at < len(sent):
            step = chance.choice([1, 2, 3, 7, 500, 60_000])
            sock.sendall(sent[at : at + step])
            at += step

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("seed", range(8))
def test_replies_are_the_same_in_pieces_of_any_size(pair, seed):
    replies, theirs = pair
    large = random.Random(seed).randbytes(100_000)
    sent = b"+OK\r\n:-12\r\n$-1\r\n$0\r\n\r\n$5\r\na\r\nbc\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n"
    sent += b"$%d\r\n%s\r\n" % (len(large), large) + b"$7\r\n1234567\r\n:3\r\n"
    thread = send_in_pieces(theirs, sent, seed)
    small = [replies.read_response() for _ in range(6)]
    assert small == [b"OK", -12, None, b"", b"a\r\nbc", [1, [b"x"]]]
    assert replies.value_bytes() == len(large)
    room = memoryview(bytearray(len(large)))
    replies.read_value(room[:256])
    replies.read_value(room[256:])
    replies.end_value()
    assert room == large
    assert replies.value_bytes() == 7
    replies.skip_value(7)
    replies.end_value()
    assert replies.read_response() == 3
    thread.join()


def test_an_error_reply_tells_its_code_and_leaves_the_next_reply_whole(pair):
    replies, theirs = pair
    theirs.sendall(b"-OOM no memory\r\n-WRONGTYPE x\r\n:1\r\n")
    with pytest.raises(ServerError, match="no memory") as told:
        replies.read_response()
    assert told.value.code == "OOM"
    with pytest.raises(ServerError):
        replies.value_bytes()
    assert replies.read_response() == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"?what\r\n",
        b"\r\n",
        b"$5x\r\nhello\r\n",
        b"$\r\n",
        b":1.5\r\n",
        b"$99999999999999999999\r\n",
        b"$70000\r\n",
        b"*70000\r\n",
        b"*-2\r\n",
        b"$3\r\nabcde\r\n",
        b"x" * 20_000,
    ],
)
def test_what_is_no_reply_is_refused_before_memory_is_taken(pair, sent):
    replies, theirs = pair
    theirs.sendall(sent)
    with pytest.raises(StrangeReplyError):
        replies.read_response()


@pytest.mark.parametrize("sent", [b":1\r\n", b"+OK\r\n", b"*0\r\n", b"$-2\r\n"])
def test_only_a_value_is_taken_for_a_value(pair, sent):
    replies, theirs = pair
    theirs.sendall(sent)
    with pytest.raises(StrangeReplyError):
        replies.value_bytes()


def test_the_deadline_is_for_the_whole_reply_however_it_drips(pair):
    replies, theirs = pair
    stop = threading.Event()

    def drip():
        theirs.sendall(b"$1000\r\n")
        while not stop.wait(0.02):
            theirs.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    started = time.monotonic()
    replies.let_until(started + 0.3)
    assert replies.value_bytes() == 1000
    with pytest.raises(TimeoutError):
        replies.read_value(memoryview(bytearray(1000)))
    assert time.monotonic() - started < 0.3 + 1
    stop.set()
    thread.join()


def test_the_end_of_the_connection_is_no_reply(pair):
    replies, theirs = pair
    theirs.sendall(b"$10\r\nabc")
    theirs.close()
    assert replies.value_bytes() == 10
    with pytest.raises(ValkeyConnectionError):
        replies.read_value(memoryview(bytearray(10)))


def test_what_waits_unasked_is_seen(pair):
    replies, theirs = pair
    assert not replies.can_read(0)
    theirs.sendall(b"x")
    assert replies.can_read(1)
    replies.on_disconnect()
    with pytest.raises(ValkeyConnectionError):
        replies.read_response()
