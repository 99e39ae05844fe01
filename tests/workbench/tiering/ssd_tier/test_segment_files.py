"""Segments' files are made, recognised and renewed; what is not ours is never written to."""

from dataclasses import replace

import numpy as np
import pytest
import xxhash

from tests.torture.stores import SEGMENT_PAGES, SMALL
from tests.workbench.tiering.ssd_tier.bare_cores import STORE, bare_core, new_disk
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier.errors import (
    StoreDamagedError,
    StoreGeometryError,
    StoreVersionError,
)
from workbench.tiering.ssd_tier.layout import segment_name
from workbench.tiering.ssd_tier.segment_files import (
    FoundSegment,
    begin_lives,
    enter_segments,
    find_segments,
    identify,
)
from workbench.tiering.ssd_tier.segment_header import SegmentHeader, Use, pack, unpack
from workbench.tiering.ssd_tier.segments import FIRST_PAGE, State

OTHER = b"another store..."
SEGMENT_BYTES = SEGMENT_PAGES * PAGE_BYTES
LAST_AT = SEGMENT_BYTES - PAGE_BYTES


def found_on(core):
    """Return what `find_segments` finds."""
    found: dict[int, FoundSegment] = {}
    find_segments(core, found)
    return found


def made(disk, *rules, use=Use.FREE):
    """Return a core whose segments were made on an empty disk and given their first lives."""
    core = bare_core(disk, *rules)
    enter_segments(core, {})
    assert begin_lives(core, core.table.segments, use, core.deadline(1.0)) is None
    return core


def renewed(core, number, use=Use.USED):
    return begin_lives(core, [core.table[number]], use, core.deadline(1.0))


def rewrite(disk, number, place, **changes):
    """Replace one header of a segment by a whole one that says something else."""
    header = unpack(disk.content(segment_name(number))[:PAGE_BYTES], "")
    disk.rot(segment_name(number), place, pack(header._replace(**changes)))


def content(disk):
    return {name: disk.content(name) for name in disk.names()}


class TestMaking:
    def test_an_empty_folder_gets_every_segment_whole(self):
        disk = new_disk()
        core = made(disk)
        names = [segment_name(n) for n in range(core.layout.n_segments)]
        assert disk.names() == names
        assert {disk.size(name) for name in names} == {SEGMENT_BYTES}
        assert [segment.number for segment in core.table.segments] == list(range(len(names)))
        assert {segment.state for segment in core.table.segments} == {State.FREE}
        assert core.counters.read().segments_lost == 0

    def test_both_headers_of_a_life_say_the_same(self):
        disk = new_disk()
        core = made(disk)
        for segment in core.table.segments:
            raw = disk.content(segment_name(segment.number))
            said = SegmentHeader(Use.FREE, STORE, segment.number, SEGMENT_PAGES, segment.epoch)
            assert raw[:PAGE_BYTES] == raw[LAST_AT:] == pack(said)
            assert not any(raw[PAGE_BYTES:LAST_AT])

    def test_every_life_has_an_epoch_of_its_own(self):
        disk = new_disk()
        core = made(disk)
        epochs = [segment.epoch for segment in core.table.segments]
        for number in range(core.layout.n_segments):
            assert renewed(core, number) is None
            epochs.append(core.table[number].epoch)
        assert epochs == sorted(set(epochs))

    def test_lives_survive_every_power_loss(self):
        disk = new_disk()
        core = made(disk)
        assert renewed(core, 2) is None
        epochs = [segment.epoch for segment in core.table.segments]
        images = list(disk.crash_images(np.random.default_rng(1), 20, since=disk.position))
        assert len(images) == 20
        for image in images:
            found = found_on(bare_core(image))
            assert [found[n].header.epoch for n in range(len(epochs))] == epochs

    @pytest.mark.parametrize("nth", range(1, 7))
    def test_a_creation_that_fails_leaves_nothing_of_a_new_store(self, nth):
        disk = new_disk()
        core = bare_core(disk, Fault("error", "create", nth=nth))
        assert core.layout.n_segments == 6
        with pytest.raises(StorageError):
            enter_segments(core, {})
        assert disk.names() == []

    def test_a_folder_sync_that_fails_leaves_nothing_of_a_new_store(self):
        disk = new_disk()
        with pytest.raises(StorageError):
            enter_segments(bare_core(disk, Fault("error", "sync_folder", nth=1)), {})
        assert disk.names() == []

    def test_a_creation_that_fails_takes_nothing_from_an_old_store(self):
        disk = new_disk()
        made(disk)
        disk.remove(segment_name(1))
        disk.remove(segment_name(4))
        before = content(disk)
        core = bare_core(disk, Fault("error", "create", nth=2))
        with pytest.raises(StorageError):
            enter_segments(core, found_on(core))
        after = content(disk)
        assert {name: after[name] for name in before} == before
        # What was made stays, and the next opening makes the rest.
        assert after.keys() - before.keys() == {segment_name(1)}
        again = bare_core(disk)
        enter_segments(again, found_on(again))
        assert len(disk.names()) == 6

    def test_a_full_disk_leaves_nothing(self):
        disk = SimDisk(capacity_bytes=4 * SEGMENT_BYTES)
        with pytest.raises(StorageError, match="No space left"):
            enter_segments(bare_core(disk), {})
        assert disk.names() == []


class TestFinding:
    def test_nothing_is_found_in_an_empty_folder_or_among_others_files(self):
        disk = new_disk()
        disk.create("notes", 100)
        disk.create("segment-1", 100)
        assert found_on(bare_core(disk)) == {}

    def test_everything_is_found_again_and_nothing_changed(self):
        disk = new_disk()
        core = made(disk)
        assert renewed(core, 3) is None
        before, position = content(disk), disk.position
        found = found_on(bare_core(disk))
        assert sorted(found) == list(range(6))
        for number, one in found.items():
            use = Use.USED if number == 3 else Use.FREE
            epoch = core.table[number].epoch
            assert one.header == SegmentHeader(use, STORE, number, SEGMENT_PAGES, epoch)
            assert one.n_pages == SEGMENT_PAGES
            assert not one.blank
        assert content(disk) == before
        assert disk.position == position

    @pytest.mark.parametrize("place", [0, LAST_AT])
    @pytest.mark.parametrize("kind", ["rotten", "zeros"])
    def test_either_header_alone_is_enough(self, place, kind):
        disk = new_disk()
        core = made(disk, use=Use.USED)
        if kind == "rotten":
            disk.rot(segment_name(2), place + 20, b"\xff")
        else:
            disk.rot(segment_name(2), place, bytes(PAGE_BYTES))
        found = found_on(bare_core(disk))
        assert found[2].header.epoch == core.table[2].epoch
        assert not found[2].blank

    @pytest.mark.parametrize("nth", [1, 2])
    def test_either_header_alone_is_enough_when_the_other_cannot_be_read(self, nth):
        disk = new_disk()
        made(disk)
        fault = Fault("error", "read", name=segment_name(2), nth=nth)
        core = bare_core(disk, fault)
        assert found_on(core)[2].header is not None
        assert core.counters.read().read_errors == 1

    @pytest.mark.parametrize("place", [0, LAST_AT])
    def test_the_newer_header_counts_wherever_it_is(self, place):
        disk = new_disk()
        made(disk)
        rewrite(disk, 2, place, epoch=999, use=Use.USED)
        header = found_on(bare_core(disk))[2].header
        assert (header.epoch, header.use) == (999, Use.USED)

    def test_both_headers_gone_is_no_header_and_zeros_are_told_apart(self):
        disk = new_disk()
        made(disk)
        for place in (0, LAST_AT):
            disk.rot(segment_name(1), place, bytes(PAGE_BYTES))
            disk.rot(segment_name(2), place, b"\xff" * PAGE_BYTES)
        found = found_on(bare_core(disk))
        assert (found[1].header, found[1].blank) == (None, True)
        assert (found[2].header, found[2].blank) == (None, False)

    @pytest.mark.parametrize("n_bytes", [0, 100, PAGE_BYTES, 5 * PAGE_BYTES, LAST_AT])
    def test_a_cut_file_is_found_as_long_as_it_is(self, n_bytes):
        disk = new_disk()
        core = made(disk)
        disk.truncate(segment_name(2), n_bytes)
        one = found_on(bare_core(disk))[2]
        assert one.n_pages == n_bytes // PAGE_BYTES
        if n_bytes >= PAGE_BYTES:
            assert one.header.epoch == core.table[2].epoch
        else:
            assert one.header is None

    def test_a_file_written_beyond_its_end_keeps_its_headers(self):
        disk = new_disk()
        core = made(disk)
        disk.rot(segment_name(2), SEGMENT_BYTES, b"\xff" * PAGE_BYTES)
        one = found_on(bare_core(disk))[2]
        assert (one.n_pages, one.header.epoch) == (SEGMENT_PAGES + 1, core.table[2].epoch)

    def test_the_second_header_is_looked_for_where_it_was_put(self):
        disk = new_disk()
        core = made(disk)
        disk.rot(segment_name(2), 0, b"\xff" * PAGE_BYTES)
        disk.rot(segment_name(2), SEGMENT_BYTES, b"\xff" * 3 * PAGE_BYTES)
        assert found_on(bare_core(disk))[2].header.epoch == core.table[2].epoch

    def test_another_version_is_refused(self):
        disk = new_disk()
        made(disk)
        raw = bytearray(disk.content(segment_name(2))[:PAGE_BYTES])
        raw[8] = 2
        raw[248:256] = xxhash.xxh3_64_intdigest(raw[:248]).to_bytes(8, "little")
        disk.rot(segment_name(2), 0, bytes(raw))
        before = content(disk)
        with pytest.raises(StoreVersionError, match="segment-00002: format version 2"):
            found_on(bare_core(disk))
        assert content(disk) == before

    def test_a_smaller_capacity_than_the_store_s_is_refused(self):
        disk = new_disk()
        made(disk)
        config = replace(SMALL, capacity_bytes=SMALL.capacity_bytes - SEGMENT_BYTES)
        with pytest.raises(StoreGeometryError, match=r"segment-00005: .* give back its capacity"):
            found_on(bare_core(disk, config=config))

    def test_other_segment_sizes_are_refused_with_the_ones_there(self):
        disk = new_disk()
        made(disk)
        config = replace(SMALL, segment_bytes=8 * PAGE_BYTES)
        with pytest.raises(StoreGeometryError, match=f"have {SEGMENT_BYTES} bytes, configured"):
            found_on(bare_core(disk, config=config))

    def test_a_renamed_segment_is_refused_with_its_right_name(self):
        disk = new_disk()
        made(disk)
        disk.replace(segment_name(2), segment_name(4))
        with pytest.raises(StoreDamagedError, match=r"segment-00004: .* it is segment-00002"):
            found_on(bare_core(disk))


class TestIdentifying:
    @staticmethod
    def found(*owners, blank=False):
        """Return segments of the given stores; None for one without a header."""
        return {
            n: FoundSegment(
                n,
                SEGMENT_PAGES,
                None if owner is None else SegmentHeader(Use.FREE, owner, n, SEGMENT_PAGES, 1 + n),
                blank,
            )
            for n, owner in enumerate(owners)
        }

    def test_no_files_are_no_store(self):
        assert identify({}, None) is None

    def test_a_snapshot_alone_names_the_store(self):
        assert identify({}, STORE) == STORE
        assert identify(self.found(None, None), STORE) == STORE

    def test_segments_alone_name_it(self):
        assert identify(self.found(STORE, None, STORE), None) == STORE

    def test_segments_that_agree_outvote_a_snapshot_of_another_store(self):
        assert identify(self.found(STORE, STORE), OTHER) == STORE

    @pytest.mark.parametrize("stranger", range(3))
    def test_a_stranger_among_them_is_named(self, stranger):
        owners = [OTHER if n == stranger else STORE for n in range(3)]
        with pytest.raises(StoreDamagedError, match=f"{segment_name(stranger)}: belongs to an"):
            identify(self.found(*owners), None)

    def test_the_snapshot_says_who_the_stranger_is(self):
        with pytest.raises(StoreDamagedError, match=r"segment-00000: belongs to another store"):
            identify(self.found(STORE, STORE, OTHER), OTHER)

    def test_what_a_creation_left_is_no_store_yet(self):
        assert identify(self.found(None, None, blank=True), None) is None

    def test_what_cannot_be_recognised_is_not_overwritten(self):
        with pytest.raises(StoreDamagedError, match=r"segment-00000: .* give another folder"):
            identify(self.found(None, None), None)


class TestEntering:
    def test_states_and_epochs_are_those_of_the_headers(self):
        disk = new_disk()
        core = made(disk)
        assert renewed(core, 1) is None
        again = bare_core(disk)
        enter_segments(again, found_on(again))
        states = [segment.state for segment in again.table.segments]
        assert states == [State.FREE, State.SEALED, *[State.FREE] * 4]
        for one, other in zip(core.table.segments, again.table.segments, strict=True):
            assert one.epoch == other.epoch
        assert again.counters.read().segments_lost == 0

    def test_a_missing_file_is_made_anew_and_the_others_are_left_alone(self):
        disk = new_disk()
        made(disk)
        disk.remove(segment_name(2))
        before = content(disk)
        core = bare_core(disk)
        enter_segments(core, found_on(core))
        after = content(disk)
        assert after.pop(segment_name(2)) == bytes(SEGMENT_BYTES)
        assert after == before
        assert core.table[2].epoch == 0

    def test_a_file_without_headers_is_made_anew_and_counted(self):
        disk = new_disk()
        made(disk)
        for place in (0, LAST_AT):
            disk.rot(segment_name(2), place, b"\xff" * PAGE_BYTES)
        core = bare_core(disk)
        enter_segments(core, found_on(core))
        assert core.counters.read().segments_lost == 1
        assert disk.content(segment_name(2)) == bytes(SEGMENT_BYTES)
        assert (core.table[2].epoch, core.table[2].n_pages) == (0, SEGMENT_PAGES)

    def test_a_larger_capacity_gets_more_segments(self):
        disk = new_disk()
        made(disk)
        config = replace(SMALL, capacity_bytes=SMALL.capacity_bytes + 2 * SEGMENT_BYTES)
        core = bare_core(disk, config=config)
        enter_segments(core, found_on(core))
        assert len(core.table.segments) == 8
        assert disk.size(segment_name(7)) == SEGMENT_BYTES
        assert core.counters.read().segments_lost == 0


class TestNewLives:
    def test_frames_start_behind_the_header(self):
        core = made(new_disk())
        core.table[0].end_page = core.table[0].synced_page = 9
        assert renewed(core, 0) is None
        segment = core.table[0]
        assert (segment.end_page, segment.synced_page) == (FIRST_PAGE, FIRST_PAGE)
        assert segment.state == State.OPEN
        assert renewed(core, 0, Use.FREE) is None
        assert segment.state == State.FREE

    @pytest.mark.parametrize(("op", "nth"), [("write", 1), ("write", 2), ("sync", 1)])
    def test_a_life_that_may_not_have_begun_is_bad(self, op, nth):
        disk = new_disk()
        made(disk)
        core = bare_core(disk, Fault("error", op, name=segment_name(2), nth=nth))
        enter_segments(core, found_on(core))
        error = begin_lives(core, core.table.segments[1:4], Use.FREE, core.deadline(1.0))
        assert isinstance(error, StorageError)
        states = [segment.state for segment in core.table.segments[1:4]]
        assert states == [State.FREE, State.BAD, State.FREE]
        assert core.table[2] not in core.table.free()

    @pytest.mark.parametrize("n_pages", [0, 1, SEGMENT_PAGES - 1, SEGMENT_PAGES + 1])
    def test_a_file_of_another_length_is_made_whole(self, n_pages):
        disk = new_disk()
        made(disk)
        name = segment_name(2)
        if n_pages > SEGMENT_PAGES:
            disk.rot(name, SEGMENT_BYTES, b"\xff" * PAGE_BYTES)
        else:
            disk.truncate(name, n_pages * PAGE_BYTES)
        core = bare_core(disk)
        enter_segments(core, found_on(core))
        assert renewed(core, 2, Use.FREE) is None
        assert disk.size(name) == SEGMENT_BYTES
        assert core.table[2].n_pages == SEGMENT_PAGES
        assert found_on(bare_core(disk))[2].header.epoch == core.table[2].epoch

    @pytest.mark.parametrize("op", ["remove", "create", "sync_folder", "open"])
    def test_a_file_that_cannot_be_made_whole_is_bad(self, op):
        disk = new_disk()
        made(disk)
        disk.truncate(segment_name(2), 5 * PAGE_BYTES)
        nth = 2 if op == "open" else 1
        name = "" if op == "sync_folder" else segment_name(2)
        core = bare_core(disk, Fault("error", op, name=name, nth=nth))
        enter_segments(core, found_on(core))
        assert renewed(core, 2, Use.FREE) is not None
        assert core.table[2].state == State.BAD
        assert core.counters.read().folder_errors >= 1
