"""The index remembers, replaces, forgets, and is rebuilt from its own rows."""

import numpy as np
import pytest

from workbench.tiering.ssd_tier.index import (
    ACCESSED,
    EVER_READ,
    ROW_DTYPE,
    Entry,
    Index,
    IndexFullError,
)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def entry(number: int, segment: int = 0, n_bytes: int = 5000, flags: int = 0) -> Entry:
    return Entry(segment, 1 + 3 * number, n_bytes, flags, number + 1, bytes([number]) * 16, number)


def filled(n_blocks: int = 20) -> Index:
    index = Index(64, 4)
    for number in range(n_blocks):
        index.put(key(number), entry(number, number % 4))
    return index


def test_entries_come_back_whole() -> None:
    index = filled()
    assert index.get(key(7)) == entry(7, 3)
    assert index.get_many([key(0), key(99)]) == [entry(0), None]
    assert len(index) == 20
    assert key(3) in index
    assert key(99) not in index


def test_full_256bit_key_compared_on_read() -> None:
    # R17: keys that differ in one bit anywhere are different keys.
    index = Index(300, 1)
    for bit in range(256):
        index.put((1 << bit).to_bytes(32, "big"), entry(1)._replace(sequence=bit + 1))
    for bit in range(256):
        found = index.get((1 << bit).to_bytes(32, "big"))
        assert found is not None
        assert found.sequence == bit + 1
    assert index.get(bytes(32)) is None


def test_put_returns_what_it_replaces() -> None:
    index = filled()
    assert index.put(key(1), entry(30, 2)) == entry(1, 1)
    assert index.put(key(40), entry(31)) is None
    index.check()


def test_removal_with_a_sequence_takes_only_that_frame() -> None:
    index = filled()
    assert index.remove(key(1), sequence=99) is None
    assert index.remove(key(1), sequence=2) == entry(1, 1)
    assert index.remove(key(1)) is None
    index.check()


def test_swap_takes_only_the_frame_that_counts() -> None:
    index = filled()
    assert not index.swap(key(1), 99, entry(50, 2))
    assert index.swap(key(1), 2, entry(50, 2))
    assert index.get(key(1)) == entry(50, 2)
    index.check()


def test_rows_are_used_again_and_the_limit_holds() -> None:
    index = Index(3, 1)
    for number in range(3):
        index.put(key(number), entry(number))
    with pytest.raises(IndexFullError):
        index.put(key(9), entry(9))
    index.remove(key(0))
    index.put(key(9), entry(9))
    index.check()
    assert len(index) == 3


def test_a_touch_marks_only_the_frame_that_was_read() -> None:
    index = filled()
    index.touch([(key(1), 2), (key(2), 99), (key(77), 1)])
    touched, other = index.get(key(1)), index.get(key(2))
    assert touched is not None
    assert other is not None
    assert touched.flags == ACCESSED | EVER_READ
    assert touched.accessed
    assert not other.accessed
    assert index.n_unread() == 19


def test_a_segments_blocks_come_in_the_order_of_their_pages() -> None:
    index = filled()
    index.remove(key(5))
    assert [k for k, _ in index.in_segment(1)] == [key(n) for n in (1, 9, 13, 17)]
    assert index.live_bytes(1) == 4 * 3 * 4096


def test_rows_rebuild_the_index() -> None:
    index = filled()
    index.remove(key(3))
    rows = np.frombuffer(index.dump().tobytes(), ROW_DTYPE)
    again = Index(64, 4)
    again.load(rows)
    again.check()
    assert sorted(again.keys()) == sorted(index.keys())
    assert again.get(key(8)) == entry(8)
    with pytest.raises(IndexFullError):
        Index(5, 4).load(rows)


def test_memory_a_block_is_counted() -> None:
    small, large = filled(1), filled(60)
    assert 80 * 60 < large.n_bytes() < 400 * 60
    assert small.n_bytes() < large.n_bytes()
    assert small.row_bytes == 80
