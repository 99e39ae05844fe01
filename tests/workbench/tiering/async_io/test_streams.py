"""Streams: begun by reads that continue each other, bounded, forgotten with what they hold."""

from __future__ import annotations

from workbench.tiering.async_io.engine import PAGE_BYTES, Request
from workbench.tiering.async_io.heads import head_key
from workbench.tiering.async_io.read_plan import Plan
from workbench.tiering.async_io.stream import Chunk, Stream
from workbench.tiering.async_io.streams import Streams


class Rig:
    """Streams, and the chunks that left their windows."""

    def __init__(self, most: int = 2) -> None:
        self.retired: list[Chunk] = []
        self.streams = Streams(most, lambda chunk, stream: self.retired.append(chunk))

    def read(self, page: int, file: int = 3) -> None:
        """Follow a read of a page, then note it, as a scheduler does."""
        request = Request("read", file, page * PAGE_BYTES, memoryview(bytearray(PAGE_BYTES)))
        key = head_key(file, request.offset)
        self.streams.follow(Plan(), [request], {key: 0}, key, {})
        self.streams.note([request])

    def stream(self, file: int = 3) -> Stream:
        """Begin a stream at the start of a file, with a chunk ahead of it."""
        for page in range(3):
            self.read(page, file)
        (stream,) = [one for one in self.streams if one.file == file]
        size = 4 * PAGE_BYTES
        stream.chunks.append(Chunk(stream.position, size, memoryview(bytearray(size))))
        return stream


def test_the_third_read_in_a_row_begins_a_stream() -> None:
    rig = Rig()
    rig.read(0)
    rig.read(1)
    assert len(rig.streams) == 0
    rig.read(2)
    (stream,) = rig.streams
    assert stream.position == 3 * PAGE_BYTES
    assert rig.streams.heads[head_key(3, stream.position)] is stream


def test_reads_that_continue_nothing_begin_none() -> None:
    rig = Rig()
    for page in (0, 7, 1, 90, 3):
        rig.read(page)
    assert list(rig.streams) == []


def test_the_one_that_did_not_come_back_for_longest_makes_room() -> None:
    rig = Rig(most=2)
    first, second = rig.stream(1), rig.stream(2)
    (chunk,) = first.chunks
    third = rig.stream(4)
    assert first not in rig.streams
    assert set(map(id, rig.streams)) == {id(second), id(third)}
    assert rig.retired == [chunk]


def test_a_chunk_s_holder_is_the_stream_whose_window_it_is_in() -> None:
    rig = Rig()
    one, other = rig.stream(1), rig.stream(2)
    assert rig.streams.holder(one.chunks[0]) is one
    assert rig.streams.holder(other.chunks[0]) is other
    assert rig.streams.n_held == 2
    assert rig.streams.n_reading_beside(one) == 1
    rig.streams.forget(one)
    assert rig.streams.n_held == 1
    assert rig.streams.n_reading_beside(other) == 0


def test_a_write_drops_only_what_was_read_ahead_of_its_bytes() -> None:
    rig = Rig()
    stream = rig.stream()
    page = memoryview(bytearray(PAGE_BYTES))
    rig.streams.overwritten([Request("write", 3, 0, page)], set())
    rig.streams.overwritten([Request("write", 4, stream.position, page)], set())
    assert rig.retired == []
    rig.streams.overwritten([Request("write", 3, stream.position, page)], set())
    assert len(rig.retired) == 1
    assert stream in rig.streams


def test_nothing_is_read_ahead_of_a_file_written_late_until_it_is_forgotten() -> None:
    rig = Rig()
    stream = rig.stream()
    write = Request("write", 3, 100 * PAGE_BYTES, memoryview(bytearray(PAGE_BYTES)))
    rig.streams.overwritten([write], {3})
    assert stream not in rig.streams
    for page in range(20, 26):
        rig.read(page)
    assert len(rig.streams) == 0
    rig.streams.forget_file(3)
    assert rig.stream() in rig.streams


def test_only_a_window_left_alone_for_long_is_given_up() -> None:
    rig = Rig()
    idle, busy = rig.stream(1), rig.stream(2)
    assert not rig.streams.forget_idlest(busy)
    assert idle in rig.streams
    rig.streams.clock += 100
    assert rig.streams.forget_idlest(busy)
    assert list(rig.streams) == [busy]
    assert not rig.streams.forget_idlest(busy)
