"""Only the frame that the index means, whole and unchanged, is ever handed out."""

from __future__ import annotations

from threading import Event, Semaphore

import numpy as np
import pytest

from tests.torture.model import key_of
from tests.torture.stores import TIGHT
from tests.workbench.tiering.ssd_tier.faulty_store import FaultyStore, block, open_faulty
from workbench.tiering.async_io.buffers import address, aligned_buffer, split
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.ssd_tier import SsdTierConfig, reading
from workbench.tiering.ssd_tier.config import MIB
from workbench.tiering.ssd_tier.frame import HEADER_BYTES, BadFrameError, unpack
from workbench.tiering.ssd_tier.layout import segment_name
from workbench.tiering.ssd_tier.reading import (
    Failure,
    Frame,
    Landing,
    Wanted,
    load,
    verify,
)

# So that a few blocks are enough to be read by one thread and verified by another.
LARGE = SsdTierConfig(64 * MIB, 8 * MIB, flush_every_s=None, pool_bytes=64 * MIB)


def stored(*numbers: int, n_bytes: int = 5000) -> FaultyStore:
    """Return a store that has some blocks."""
    store = open_faulty()
    for number in numbers:
        assert store.tier.put(key_of(number), block(number, 0, n_bytes))
    return store


def loaded(store: FaultyStore, *numbers: int) -> list[Frame | Failure]:
    """Load blocks without telling the index what became of them."""
    wanted = [Wanted(key_of(number), store.entry(number)) for number in numbers]
    return load(store.core, wanted, store.core.deadline(1))


def test_a_frame_is_what_was_put_in_the_order_asked_for() -> None:
    store = stored(1, 2, 3)
    frames = loaded(store, 3, 1, 2)
    for number, frame in zip((3, 1, 2), frames, strict=True):
        assert isinstance(frame, Frame)
        assert frame.payload == block(number)
        assert (frame.header.key, frame.header.stored_bytes) == (key_of(number), 5000)
    assert load(store.core, [], store.core.deadline(1)) == []


def test_the_wire_carries_the_very_bytes_of_the_disk() -> None:
    store = stored(1)
    (frame,) = loaded(store, 1)
    assert isinstance(frame, Frame)
    name, offset = store.place(1)
    content = store.disk.content(name)
    header, payload = frame.wire()
    assert bytes(header) == content[offset : offset + HEADER_BYTES]
    assert bytes(payload) == content[offset + PAGE_BYTES : offset + PAGE_BYTES + 5000]


def test_every_flipped_bit_of_a_header_is_damage() -> None:
    store = stored(1)
    name, offset = store.place(1)
    whole = store.disk.content(name)
    for bit in range(8 * HEADER_BYTES):
        at = offset + bit // 8
        store.disk.rot(name, at, bytes([whole[at] ^ 1 << bit % 8]))
        assert loaded(store, 1) == [Failure.DAMAGED], bit
        store.disk.rot(name, at, whole[at : at + 1])
    assert isinstance(loaded(store, 1)[0], Frame)


def test_flipped_bits_of_the_payload_are_damage() -> None:
    store = stored(1)
    name, offset = store.place(1)
    whole = store.disk.content(name)
    rng = np.random.default_rng(1)
    for bit in [0, 5000 * 8 - 1, *rng.choice(5000 * 8, 500).tolist()]:
        at = offset + PAGE_BYTES + bit // 8
        store.disk.rot(name, at, bytes([whole[at] ^ 1 << bit % 8]))
        assert loaded(store, 1) == [Failure.DAMAGED], bit
        store.disk.rot(name, at, whole[at : at + 1])
    assert isinstance(loaded(store, 1)[0], Frame)


def test_damage_beside_a_block_harms_nothing() -> None:
    store = stored(1)
    name, offset = store.place(1)
    store.disk.rot(name, offset + HEADER_BYTES, b"\xff" * (PAGE_BYTES - HEADER_BYTES))
    store.disk.rot(name, offset + PAGE_BYTES + 5000, b"\xff" * 100)
    (frame,) = loaded(store, 1)
    assert isinstance(frame, Frame)
    assert frame.payload == block(1)
    assert b"\xff" * 8 not in bytes(frame.wire()[0]) + bytes(frame.wire()[1])


def test_another_blocks_frame_is_never_taken_for_the_one_asked_for() -> None:
    """Every pair of sixteen blocks of one length, each read in the place of the other."""
    numbers = range(16)
    store = stored(*numbers, n_bytes=3000)
    frames = {n: frame for n, frame in zip(numbers, loaded(store, *numbers), strict=True)}
    for asked in numbers:
        for found in numbers:
            frame = frames[found]
            assert isinstance(frame, Frame)
            landing = Landing(None, frame.pages, frame.payload)  # type: ignore[arg-type]
            if asked == found:
                assert verify(store.core.store, key_of(asked), store.entry(asked), landing)
                continue
            with pytest.raises(BadFrameError, match="another frame"):
                verify(store.core.store, key_of(asked), store.entry(asked), landing)


def test_the_same_frame_of_another_store_or_generation_is_damage() -> None:
    store = stored(1)
    (frame,) = loaded(store, 1)
    assert isinstance(frame, Frame)
    landing = Landing(None, frame.pages, frame.payload)  # type: ignore[arg-type]
    entry = store.entry(1)
    with pytest.raises(BadFrameError):
        verify(b"x" * 16, key_of(1), entry, landing)
    others = [
        entry._replace(sequence=entry.sequence + 1),
        entry._replace(page=entry.page + 1),
        entry._replace(segment=entry.segment + 1),
        entry._replace(attributes=entry.attributes ^ 1),
        entry._replace(checksum=bytes(16)),
        entry._replace(stored_bytes=4999),
    ]
    for other in others:
        with pytest.raises(BadFrameError):
            verify(store.core.store, key_of(1), other, landing)


def test_a_phantom_write_shows_the_last_life_of_the_place_and_is_damage() -> None:
    store = stored(1)
    # Fill every segment, so that each place had a frame of this very key and length before.
    version = 0
    while version < 60 or store.core.table.room_pages() < 3:
        version += 1
        assert store.tier.put(key_of(1), block(1, version))
    segment = store.core.table.open
    assert segment is not None
    at = segment.end_page * PAGE_BYTES
    assert unpack(store.disk.content(segment_name(segment.number)), at).key == key_of(1)
    store.fail(Fault("drop", "write", nth=1))
    assert store.tier.put(key_of(1), block(1, 100)), "it was acknowledged"
    assert store.entry(1).page * PAGE_BYTES == at
    assert loaded(store, 1) == [Failure.DAMAGED]


READ_FAULTS = {
    "EIO": (Fault("error", "read", nth=2), Failure.FAILED),
    "short": (Fault("short", "read", nth=2), Failure.FAILED),
    "hang": (Fault("hang", "read", nth=2), Failure.LATE),
    "flip": (Fault("flip", "read", nth=2, bit=9), Failure.DAMAGED),
    "misdirect": (Fault("misdirect", "read", nth=2), Failure.DAMAGED),
}


@pytest.mark.parametrize(("rule", "failure"), READ_FAULTS.values(), ids=READ_FAULTS)
def test_one_bad_read_costs_one_block_of_a_batch(rule: Fault, failure: Failure) -> None:
    store = stored(1, 2, 3)
    store.fail(rule)
    first, second, third = loaded(store, 1, 2, 3)
    assert second == failure
    assert isinstance(first, Frame)
    assert isinstance(third, Frame)
    assert (first.payload, third.payload) == (block(1), block(3))


def test_no_time_left_is_late_and_reads_nothing() -> None:
    store = stored(1)
    wanted = [Wanted(key_of(1), store.entry(1))]
    assert load(store.core, wanted, store.core.deadline(0)) == [Failure.LATE]
    assert store.counts.late_requests == 1


def test_an_aligned_buffer_receives_the_payload_itself() -> None:
    store = stored(1)
    buffer = aligned_buffer(3 * PAGE_BYTES)
    buffer[2 * PAGE_BYTES :] = b"\x42" * PAGE_BYTES
    (frame,) = load(store.core, [Wanted(key_of(1), store.entry(1), buffer)], store.core.deadline(1))
    assert isinstance(frame, Frame)
    assert address(frame.payload) == address(buffer)
    assert bytes(buffer[:5000]) == block(1)
    assert bytes(buffer[2 * PAGE_BYTES :]) == b"\x42" * PAGE_BYTES, "no byte beyond its pages"


UNFIT = {
    "too small": lambda: aligned_buffer(PAGE_BYTES),
    "off the grid": lambda: aligned_buffer(4 * PAGE_BYTES)[100:],
    "of wide items": lambda: aligned_buffer(4 * PAGE_BYTES).cast("I"),
    "with gaps": lambda: aligned_buffer(8 * PAGE_BYTES)[::2],
}


@pytest.mark.parametrize("make", UNFIT.values(), ids=UNFIT)
def test_a_buffer_that_does_not_fit_is_left_alone(make) -> None:  # type: ignore[no-untyped-def]
    store = stored(1)
    buffer = make()
    (frame,) = load(store.core, [Wanted(key_of(1), store.entry(1), buffer)], store.core.deadline(1))
    assert isinstance(frame, Frame)
    assert frame.payload == block(1)
    assert not any(buffer.tobytes())


def test_an_empty_block_needs_no_buffer() -> None:
    store = stored(1, n_bytes=0)
    buffer = aligned_buffer(PAGE_BYTES)
    (frame,) = load(store.core, [Wanted(key_of(1), store.entry(1), buffer)], store.core.deadline(1))
    assert isinstance(frame, Frame)
    assert frame.payload.nbytes == 0


def test_many_blocks_come_back_in_order_and_each_damage_where_it_is() -> None:
    store = open_faulty(LARGE)
    numbers = list(range(20))
    for number in numbers:
        assert store.tier.put(key_of(number), block(number, 0, MIB + number))
    name, offset = store.place(13)
    store.disk.rot(name, offset + PAGE_BYTES + 500_000, b"\0\xff\0")
    frames = loaded(store, *numbers)
    for number, frame in zip(numbers, frames, strict=True):
        if number == 13:
            assert frame == Failure.DAMAGED
        else:
            assert isinstance(frame, Frame)
            assert frame.payload == block(number, 0, MIB + number)


def test_a_view_that_is_held_stays_as_it_is_when_its_place_is_used_again() -> None:
    store = open_faulty(TIGHT)
    store.tier.put(key_of(1), block(1))
    place = store.entry(1)
    (held,) = store.tier.get_many([key_of(1)])
    for number in range(2, 60):
        store.tier.put(key_of(number), block(number))
        store.tier.get(key_of(number))
    assert store.core.table[place.segment].epoch > place.sequence, "another life"
    assert held == block(1)


def test_blocks_are_verified_while_later_ones_are_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = open_faulty(LARGE)
    for number in range(4):
        assert store.tier.put(key_of(number), block(number, 0, MIB))
    verified, submit = Semaphore(0), store.disk.submit

    def verify_and_say(*arguments):  # type: ignore[no-untyped-def]
        frame = verify(*arguments)
        verified.release()
        return frame

    def submit_slowly(batch, deadline_s=10.0, on_whole=None):  # type: ignore[no-untyped-def]
        def tell(n_whole: int) -> None:
            on_whole(n_whole)
            assert verified.acquire(timeout=20), "nobody verified what was there"

        return submit(batch, deadline_s, tell)

    monkeypatch.setattr(reading, "verify", verify_and_say)
    monkeypatch.setattr(store.disk, "submit", submit_slowly)
    frames = loaded(store, 2, 0, 3, 1)
    assert [frame.header.key for frame in frames if isinstance(frame, Frame)] == [
        key_of(number) for number in (2, 0, 3, 1)
    ]


def test_a_helper_that_is_busy_leaves_everything_to_the_reader() -> None:
    store = open_faulty(LARGE)
    for number in range(4):
        assert store.tier.put(key_of(number), block(number, 0, MIB))
    busy, over = Event(), Event()
    store.core.helper().submit(lambda: (busy.set(), over.wait(20)))
    assert busy.wait(20)
    try:
        assert all(isinstance(frame, Frame) for frame in loaded(store, 0, 1, 2, 3))
    finally:
        over.set()


def test_an_interrupted_read_leaves_no_helper_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_faulty(LARGE)
    for number in range(4):
        assert store.tier.put(key_of(number), block(number, 0, MIB))

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store.disk, "submit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            loaded(store, 0, 1, 2, 3)
    assert store.core.helper().submit(lambda: "free").result(timeout=20) == "free"
    assert all(isinstance(frame, Frame) for frame in loaded(store, 0, 1, 2, 3))


def test_headers_that_share_a_page_lease_keep_it_until_the_last_is_gone() -> None:
    store = stored(1, 2)
    buffers = split(aligned_buffer(4 * PAGE_BYTES), 2 * PAGE_BYTES)
    wanted = [
        Wanted(key_of(number), store.entry(number), buffer)
        for number, buffer in zip((1, 2), buffers, strict=True)
    ]
    before = store.core.pool.lent_bytes()
    first, second = load(store.core, wanted, store.core.deadline(1))
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert store.core.pool.lent_bytes() > before
    del first
    assert unpack(second.pages).key == key_of(2)
    assert address(second.payload) == address(buffers[1])
    assert store.core.pool.lent_bytes() > before
    del second
    assert store.core.pool.lent_bytes() == before
