"""The table knows what is free, dirty and old, and which segment to empty."""

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.index import Entry, Index
from workbench.tiering.ssd_tier.segments import Segment, SegmentTable, State


def table(*states: State) -> SegmentTable:
    segments = [
        Segment(n, n, 16, epoch=100 - n, state=state, end_page=10, synced_page=10)
        for n, state in enumerate(states)
    ]
    return SegmentTable(16, segments)


def index_with(*pages: int) -> Index:
    index = Index(100, len(pages))
    for segment, n in enumerate(pages):
        for i in range(n):
            number = segment * 50 + i
            place = Entry(segment, 1 + i, 0, 0, number + 1, bytes(16), 0)
            index.put(number.to_bytes(32, "big"), place)
    return index


def test_the_longest_free_comes_first_and_hung_ones_never() -> None:
    segments = table(State.FREE, State.SEALED, State.FREE, State.FREE)
    segments[3].hung = True
    assert [segment.number for segment in segments.free()] == [2, 0]


def test_a_sparse_segment_is_emptied_first_and_whole() -> None:
    segments = table(State.SEALED, State.SEALED, State.SEALED, State.OPEN)
    victim, sparse = segments.victim(index_with(12, 3, 12, 0), 0.5)
    assert (victim, sparse) == (segments[1], True)


def test_else_the_oldest_goes() -> None:
    segments = table(State.SEALED, State.SEALED, State.SEALED)
    victim, sparse = segments.victim(index_with(12, 12, 12), 0.5)
    assert (victim, sparse) == (segments[2], False)
    assert segments.oldest(index_with(12, 12, 0)) is segments[1]


def test_nothing_can_be_emptied_without_a_sealed_segment() -> None:
    segments = table(State.OPEN, State.FREE, State.BAD)
    assert segments.victim(index_with(1, 1, 1), 0.5) == (None, False)
    assert segments.oldest(index_with(1, 1, 1)) is None


def test_room_ends_before_the_second_header() -> None:
    segments = table(State.OPEN)
    assert segments.room_pages() == 0
    segments.open = segments[0]
    assert segments.room_pages() == 16 - 1 - 10
    segments.seal()
    assert segments.open is None
    assert segments[0].state == State.SEALED


def test_dirty_is_what_lies_behind_the_last_sync() -> None:
    segments = table(State.SEALED, State.SEALED)
    segments[1].synced_page = 4
    assert segments.dirty() == [segments[1]]
    assert PAGE_BYTES == 4096
