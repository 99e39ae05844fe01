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


def test_segments_are_found_by_number() -> None:
    segments = table(State.FREE, State.OPEN, State.BAD)
    assert [segments[n].number for n in range(3)] == [0, 1, 2]


def test_a_new_segment_starts_behind_its_header_and_has_nothing_to_lose() -> None:
    segment = Segment(3, 7, 16)
    assert (segment.end_page, segment.synced_page, segment.state) == (1, 1, State.FREE)
    assert not segment.dirty


def test_sealing_twice_or_without_an_open_segment_changes_nothing() -> None:
    segments = table(State.FREE, State.BAD)
    segments.seal()
    segments.seal()
    assert [segment.state for segment in segments.segments] == [State.FREE, State.BAD]
    assert segments.room_pages() == 0


def test_a_hung_segment_is_never_emptied() -> None:
    segments = table(State.SEALED, State.SEALED)
    segments[1].hung = True
    assert segments.victim(index_with(12, 0), 0.5) == (segments[0], False)
    assert segments.oldest(index_with(12, 12)) is segments[0]


def test_the_limit_itself_counts_as_sparse() -> None:
    segments = table(State.SEALED, State.SEALED)
    # Half of 16 pages are 8 frames of one page each.
    assert segments.victim(index_with(8, 12), 0.5) == (segments[0], True)
    assert segments.victim(index_with(9, 12), 0.5) == (segments[1], False)


def test_no_fraction_means_only_empty_segments_are_sparse() -> None:
    segments = table(State.SEALED, State.SEALED)
    assert segments.victim(index_with(1, 1), 0.0) == (segments[1], False)
    assert segments.victim(index_with(0, 1), 0.0) == (segments[0], True)


def test_the_sparsest_goes_before_the_oldest() -> None:
    segments = table(State.SEALED, State.SEALED, State.SEALED)
    assert segments.victim(index_with(5, 1, 7), 0.5) == (segments[1], True)


def test_a_segment_without_blocks_is_not_the_oldest_with_blocks() -> None:
    segments = table(State.SEALED, State.SEALED, State.SEALED)
    assert segments.oldest(index_with(1, 1, 0)) is segments[1]
    assert segments.oldest(index_with(0, 0, 0)) is None
