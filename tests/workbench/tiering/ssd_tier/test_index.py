"""The index remembers, replaces, forgets, and is rebuilt from its own rows."""

import random
import threading

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
    assert index.contains_all([key(3), key(7)])
    assert not index.contains_all([key(3), key(99)])
    assert index.contains_all([])


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


@pytest.mark.parametrize("at", range(32))
def test_a_key_that_differs_in_one_byte_finds_removes_and_touches_nothing(at: int) -> None:
    known = bytes(range(32))
    other = bytes(byte ^ (1 if n == at else 0) for n, byte in enumerate(known))
    index = Index(4, 1)
    index.put(known, entry(1))
    index.touch([(other, 2)])
    assert other not in index
    assert index.get(other) is None
    assert index.remove(other) is None
    assert not index.swap(other, 2, entry(3))
    assert index.get(known) == entry(1)


def test_a_newer_generation_replaces_the_older_and_only_it_counts() -> None:
    index = Index(4, 3)
    older, newer = entry(1, 0, 5000), entry(2, 2, 100)
    index.put(key(9), older)
    assert index.put(key(9), newer) == older
    assert index.get(key(9)) == newer
    assert len(index) == 1
    assert [index.live_bytes(segment) for segment in range(3)] == [0, 0, 2 * 4096]
    assert index.remove(key(9), sequence=older.sequence) is None
    assert not index.swap(key(9), older.sequence, entry(3, 1))
    assert index.get(key(9)) == newer


def test_a_replaced_block_was_not_read_yet() -> None:
    index = Index(4, 1)
    index.put(key(1), entry(1))
    index.touch([(key(1), 2)])
    index.put(key(1), entry(2))
    assert index.n_unread() == 1
    found = index.get(key(1))
    assert found is not None
    assert not found.accessed
    index.touch([(key(1), 2)])  # of the generation before
    assert index.n_unread() == 1


def test_a_full_index_still_replaces_and_changes_nothing_when_it_refuses() -> None:
    index = Index(2, 1)
    index.put(key(0), entry(0))
    index.put(key(1), entry(1))
    assert index.put(key(1), entry(5)) == entry(1)
    with pytest.raises(IndexFullError):
        index.put(key(2), entry(2))
    index.check()
    assert key(2) not in index
    assert sorted(index.keys()) == [key(0), key(1)]
    assert index.live_bytes(0) == 2 * 3 * 4096


def test_the_largest_values_of_every_field_come_back() -> None:
    index = Index(1, 2)
    largest = Entry(1, 2**32 - 1, 2**32 - 1, 2**32 - 1, 2**64 - 1, b"\xff" * 16, 2**64 - 1)
    index.put(b"\xff" * 32, largest)
    assert index.get(b"\xff" * 32) == largest


@pytest.mark.parametrize(("n_bytes", "pages"), [(0, 1), (1, 2), (4096, 2), (4097, 3)])
def test_live_bytes_are_whole_frames_also_when_loaded(n_bytes: int, pages: int) -> None:
    index, again = Index(4, 2), Index(4, 2)
    index.put(key(1), entry(1, 1, n_bytes))
    again.load(np.frombuffer(index.dump().tobytes(), ROW_DTYPE))
    assert entry(1, 1, n_bytes).n_bytes == pages * 4096
    assert index.live_bytes(1) == again.live_bytes(1) == pages * 4096
    assert index.live_bytes(0) == again.live_bytes(0) == 0


def test_a_row_on_disk_is_laid_out_as_documented() -> None:
    index = Index(1, 8)
    index.put(bytes(range(32)), Entry(5, 6, 7, 3, 8, b"s" * 16, 9))
    assert index.dump().tobytes() == (
        bytes(range(32))
        + bytes.fromhex("05000000 06000000 07000000 03000000 0800000000000000")
        + b"s" * 16
        + bytes.fromhex("0900000000000000")
    )


def test_memory_grows_by_a_row_and_a_key_a_block_and_no_more() -> None:
    index = Index(2000, 1)
    empty = index.n_bytes()
    for number in range(1000):
        index.put(key(number), entry(number % 256)._replace(sequence=number + 1))
    a_block = (index.n_bytes() - empty) / 1000
    # An 80-byte row, a bytes object of 32, an int, a slot of the dict.
    assert 80 + 65 + 28 < a_block < 300
    before = index.n_bytes()
    for number in range(1000):
        index.put(key(number), entry(number % 256)._replace(sequence=5000 + number))
    assert index.n_bytes() == before


def test_any_course_of_changes_ends_as_a_dict_would() -> None:
    rng = random.Random(5)
    index, model, sequence = Index(40, 5), {}, 0
    for _ in range(4000):
        name, sequence = key(rng.randrange(60)), sequence + 1
        new = Entry(rng.randrange(5), 1, rng.randrange(20000), 0, sequence, bytes(16), sequence)
        match rng.randrange(4):
            case 0 if name in model or len(model) < 40:
                assert index.put(name, new) == model.get(name)
                model[name] = new
            case 0:
                with pytest.raises(IndexFullError):
                    index.put(name, new)
            case 1:
                assert index.remove(name) == model.pop(name, None)
            case 2:
                old = model.get(name)
                assert index.swap(name, old.sequence if old else 1, new) == (old is not None)
                if old:
                    model[name] = new
            case 3:
                assert index.get(name) == model.get(name)
    index.check()
    assert {name: index.get(name) for name in index.keys()} == model  # noqa: SIM118
    assert [index.live_bytes(n) for n in range(5)] == [
        sum(one.n_bytes for one in model.values() if one.segment == n) for n in range(5)
    ]
    listed = [pair for n in range(5) for pair in index.in_segment(n)]
    assert dict(listed) == model
    assert len(listed) == len(model)


def test_no_thread_sees_half_an_entry() -> None:
    index, done = Index(8, 2), threading.Event()
    generations = [Entry(n % 2, n, n, 0, n + 1, bytes([n]) * 16, n) for n in range(200)]
    index.put(key(1), generations[0])

    def write() -> None:
        for _ in range(20):
            for generation in generations:
                index.put(key(1), generation)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = {index.get(key(1))}
    while not done.is_set():
        seen.add(index.get(key(1)))
    writer.join()
    assert seen <= set(generations)
    index.check()
