"""Every whole frame of a segment's present life is found by its header, and nothing else is."""

from __future__ import annotations

import errno

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import (
    SMALL,
    faulty,
    fill,
    key_of,
    open_small,
    sim_disk,
    value_of,
)
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.frame import HEADER_BYTES, Header, Kind
from workbench.tiering.ssd_tier.scan import Scan, scan
from workbench.tiering.ssd_tier.segments import FIRST_PAGE

# One segment that holds many small frames, so that reading ahead in it matters.
LONG = SsdTierConfig(
    capacity_bytes=5 * 1024 * PAGE_BYTES,
    segment_bytes=1024 * PAGE_BYTES,
    max_blocks=1000,
    flush_every_s=None,
    pool_bytes=1 << 20,
)


def scanned(tier: SsdTier) -> list[Scan]:
    """Scan every segment from its first page on."""
    return scan(tier._core, [(segment, FIRST_PAGE) for segment in tier._core.table.segments])


def headers(tier: SsdTier) -> list[Header]:
    found = [header for one in scanned(tier) for header in one.frames]
    return sorted(found, key=lambda header: header.sequence)


def keys(tier: SsdTier) -> list[bytes]:
    return [header.key for header in headers(tier) if header.kind == Kind.BLOCK]


def store(n_blocks: int, n_bytes: int = 3000) -> tuple[SimDisk, SsdTier]:
    disk = sim_disk()
    tier = open_small(disk, disk)
    fill(tier, n_blocks, n_bytes)
    return disk, tier


def place(tier: SsdTier, number: int) -> tuple[str, int]:
    """Return the file and the offset of a block's header."""
    entry = tier._core.index.get(key_of(number))
    assert entry is not None
    return f"segment-{entry.segment:05d}", entry.page * PAGE_BYTES


@pytest.mark.parametrize("n_bytes", [0, 1, 4096, 4097, 20000])
def test_all_frames_are_found_in_the_order_of_their_writing(n_bytes: int) -> None:
    _, tier = store(6, n_bytes)
    tier.delete(key_of(3))
    found = headers(tier)
    assert [header.key for header in found] == [*map(key_of, range(6)), key_of(3)]
    assert found[-1].kind == Kind.TOMBSTONE
    assert [header.sequence for header in found] == sorted({h.sequence for h in found})
    assert tier.stats().counts.headers_scanned == 7


def test_frames_of_many_sizes_and_deep_runs_of_small_ones_are_found() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, LONG)
    lengths = [0] * 150 + [40000, 0, 0, 123456, 1] + [10] * 150
    for number, n_bytes in enumerate(lengths):
        assert tier.put(key_of(number), value_of(number, 0, n_bytes))
    assert keys(tier) == [key_of(number) for number in range(len(lengths))]


def test_the_end_is_behind_the_last_frame() -> None:
    _, tier = store(5)
    for one in scanned(tier):
        assert one.end_page == one.segment.end_page


def test_scanning_from_a_page_on_finds_what_lies_behind_it() -> None:
    _, tier = store(3, 100)
    core = tier._core
    segment = core.table.open
    assert segment is not None
    (one,) = scan(core, [(segment, FIRST_PAGE + 2)])
    assert [header.key for header in one.frames] == [key_of(1), key_of(2)]
    (nothing,) = scan(core, [(segment, segment.end_page)])
    assert nothing.frames == []
    assert nothing.end_page == segment.end_page


def test_nothing_is_found_in_an_empty_store() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    assert headers(tier) == []
    assert scan(tier._core, []) == []


@pytest.mark.parametrize("byte", [0, 8, 12, 40, 64, 128, 200, HEADER_BYTES - 1])
def test_a_damaged_header_hides_its_own_frame_only(byte: int) -> None:
    disk, tier = store(6, 6000)
    name, at = place(tier, 2)
    changed = bytes([disk.content(name)[at + byte] ^ 1])
    disk.rot(name, at + byte, changed)
    assert keys(tier) == [key_of(number) for number in (0, 1, 3, 4, 5)]


def test_several_damaged_headers_in_a_row_are_stepped_over() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, LONG)
    fill(tier, 200, 100)
    for number in range(20, 180):
        name, at = place(tier, number)
        disk.rot(name, at, bytes(HEADER_BYTES))
    assert keys(tier) == [key_of(n) for n in (*range(20), *range(180, 200))]


def test_what_looks_like_a_frame_inside_a_block_is_none() -> None:
    """A value that holds a whole frame of this store must not be taken for one."""
    disk, tier = store(2, 100)
    name, at = place(tier, 1)
    frame = disk.content(name)[at : at + 2 * PAGE_BYTES]
    hostile = frame * 2
    assert tier.put(key_of(7), hostile)
    assert keys(tier) == [key_of(0), key_of(1), key_of(7)]
    # Even where its own header is gone, what is inside says that it belongs elsewhere.
    name, at = place(tier, 7)
    disk.rot(name, at, bytes(HEADER_BYTES))
    assert keys(tier) == [key_of(0), key_of(1)]


def test_frames_of_an_earlier_life_are_not_found() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    fill(tier, 30, 9000)
    core = tier._core
    assert tier.stats().counts.segments_reclaimed > 0
    epochs = {segment.number: segment.epoch for segment in core.table.segments}
    found = headers(tier)
    assert found
    assert all(header.epoch == epochs[header.segment] for header in found)
    alive = set(core.index.keys())
    assert alive <= {header.key for header in found}


def test_frames_of_another_store_are_not_found() -> None:
    _, tier = store(4)
    tier._core.store = b"another store..."
    assert headers(tier) == []


def test_a_frame_that_would_reach_beyond_its_segment_is_none() -> None:
    _, tier = store(4, 100)
    segment = tier._core.table.open
    assert segment is not None
    segment.n_pages = segment.end_page - 1
    (one,) = scan(tier._core, [(segment, FIRST_PAGE)])
    assert [header.key for header in one.frames] == [key_of(0), key_of(1), key_of(2)]


@pytest.mark.parametrize("kind", ["error", "short"])
def test_a_page_that_cannot_be_read_is_stepped_over(kind: str) -> None:
    disk, tier = store(6, 6000)
    tier.close()
    for nth in range(1, 30):
        image = disk.reopened()
        again, faults, _, _ = faulty(image, Fault(kind, "read", nth=nth, number=errno.EIO))
        found = keys(again)
        assert len(found) >= 5
        assert set(found) <= set(map(key_of, range(6)))
        if not faults.injected.total():
            break
        assert again.stats().counts.read_errors == 1
    assert found == list(map(key_of, range(6)))


def test_a_device_without_an_answer_ends_the_scan_by_the_deadline() -> None:
    disk, tier = store(6, 6000)
    tier.close()
    again, _, _, clock = faulty(disk.reopened(), Fault("hang", "read", nth=1, times=1000))
    start_ns = clock.now_ns()
    assert keys(again) == []
    n_segments = len(again._core.table.segments)
    assert clock.now_ns() - start_ns <= 1.1e9 * SMALL.read_deadline_s * n_segments
