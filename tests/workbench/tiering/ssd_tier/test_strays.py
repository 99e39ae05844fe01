"""Strays are found by key, by state and by segment, until they are dead."""

from tests.workbench.tiering.ssd_tier.store_helpers import (
    TIGHT,
    faulty,
    key_of,
    open_small,
    sim_disk,
    value_of,
)
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.ssd_tier.frame import Kind
from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.scan import scan
from workbench.tiering.ssd_tier.segments import FIRST_PAGE
from workbench.tiering.ssd_tier.strays import Stray, Strays

KEY, OTHER = b"k" * 32, b"o" * 32
ENTRY = Entry(2, 5, 100, 0, 9, bytes(16), 0)


def test_condemned_frames_wait_until_they_are_absolved() -> None:
    strays = Strays()
    stray = Stray(KEY, 1, 3, 7, 8, 100)
    strays.condemn(stray)
    assert strays.pending() == [stray]
    assert strays.concerns(KEY)
    assert not strays.concerns(OTHER)
    strays.absolve([stray])
    assert len(strays) == 0


def test_stuck_frames_are_told_apart() -> None:
    strays = Strays()
    strays.condemn(Stray(KEY, 1, 3, 7, 8, 100, stuck=True))
    strays.condemn(Stray(OTHER, 1, 6, 7, 9, 100))
    assert [stray.key for stray in strays.stuck()] == [KEY]
    assert [stray.key for stray in strays.pending()] == [OTHER]


def test_what_was_set_aside_is_taken_once() -> None:
    strays = Strays()
    strays.set_aside(KEY, ENTRY)
    assert strays.concerns(KEY)
    assert strays.segments_set_aside() == {2}
    assert strays.take_aside(KEY) == ENTRY
    assert strays.take_aside(KEY) is None


def test_a_segments_new_life_ends_all_of_them() -> None:
    strays = Strays()
    strays.condemn(Stray(KEY, 2, 3, 7, 8, 100))
    strays.condemn(Stray(KEY, 1, 3, 7, 8, 100))
    strays.set_aside(OTHER, ENTRY)
    strays.forget_segment(2)
    assert len(strays) == 1
    assert not strays.concerns(OTHER)


def test_a_newer_stray_at_the_same_place_replaces_the_older_one() -> None:
    strays = Strays()
    strays.condemn(Stray(KEY, 1, 3, 7, 8, 100))
    strays.condemn(Stray(OTHER, 1, 3, 9, 10, 100))
    assert [stray.key for stray in strays.pending()] == [OTHER]
    assert not strays.concerns(KEY)


def test_what_was_set_aside_waits_for_no_mark() -> None:
    strays = Strays()
    strays.set_aside(KEY, ENTRY)
    assert len(strays) == 0
    assert strays.pending() == []


def frames_of(tier: SsdTier) -> list[tuple[bytes, Kind]]:
    """Return the kind of every frame that a scan of the disk would meet, by key."""
    starts = [(segment, FIRST_PAGE) for segment in tier._core.table.segments]
    return [(frame.key, frame.kind) for one in scan(tier._core, starts) for frame in one.frames]


def test_overwritten_blocks_are_marked_dead_on_disk_at_the_next_flush() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    for version in range(3):
        tier.put(key_of(1), value_of(1, version, 3000))
    assert tier.stats().strays == 2
    assert [kind for _, kind in frames_of(tier)] == [Kind.BLOCK] * 3
    assert tier.flush()
    assert tier.stats().strays == 0
    kinds = [kind for _, kind in frames_of(tier)]
    assert kinds == [Kind.DEAD, Kind.DEAD, Kind.BLOCK]


def test_deleted_blocks_are_marked_dead_and_stay_gone_without_their_tombstone() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    tier.put(key_of(1), b"secret")
    tier.flush()
    tier.delete(key_of(1))
    assert tier.flush()
    segment = tier._core.table.open
    assert segment is not None
    tombstone_at = (segment.end_page - 1) * PAGE_BYTES
    image = disk.reopened()
    image.rot(f"segment-{segment.number:05d}", tombstone_at, bytes(PAGE_BYTES))
    image.remove("index")
    assert open_small(image, image).get(key_of(1)) is None


def test_a_put_that_failed_leaves_a_stray_that_never_comes_back() -> None:
    disk = sim_disk()
    tier, faults, _, _ = faulty(disk)
    tier.put(key_of(1), value_of(1, 0, 3000))
    # All of it arrives, and then the device says that it did not.
    faults.add(Fault("short", "write", nth=1, keep_bytes=3 * PAGE_BYTES))
    assert not tier.put(key_of(1), value_of(1, 1, 8000))
    assert tier.get(key_of(1)) == value_of(1, 0, 3000)
    assert tier.stats().strays == 1
    assert tier.flush()
    assert tier.stats().strays == 0
    image = disk.reopened()
    image.remove("index")
    assert open_small(image, image).get(key_of(1)) == value_of(1, 0, 3000)


def test_a_mark_that_did_not_arrive_makes_its_stray_stuck_and_a_tombstone_protects() -> None:
    disk = sim_disk()
    tier, faults, _, _ = faulty(disk)
    tier.put(key_of(1), value_of(1, 0, 3000))
    tier.flush()
    tier.delete(key_of(1))
    # The next write is the mark; the device says that it went well.
    faults.add(Fault("drop", "write", nth=1))
    assert tier.flush()
    assert faults.injected["drop"] == 1
    assert [stray.key for stray in tier._core.strays.stuck()] == [key_of(1)]
    tier.close()
    again = open_small(image := disk.reopened(), image)
    assert again.get(key_of(1)) is None
    image = disk.reopened()
    image.remove("index")
    assert open_small(image, image).get(key_of(1)) is None


def test_strays_do_not_pile_up_under_a_long_workload() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, TIGHT)
    for number in range(300):
        tier.put(key_of(number % 5), value_of(number % 5, number, 5000))
        assert tier.stats().strays <= TIGHT.capacity_bytes // (2 * PAGE_BYTES)
    tier.flush()
    assert tier.stats().strays == 0
