"""A check finds every kind of disagreement, says what it is, and forgets what is damaged."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import (
    TIGHT,
    answers,
    faulty,
    fill,
    key_of,
    open_small,
    real_store,
    sim_disk,
    value_of,
)
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import CheckReport, SsdTier


def store(n_blocks: int = 20) -> tuple[SimDisk, SsdTier, dict[bytes, bytes]]:
    disk = sim_disk()
    tier = open_small(disk, disk)
    return disk, tier, fill(tier, n_blocks)


def rot(disk: SimDisk, tier: SsdTier, number: int, at: int) -> None:
    """Flip a bit of a block's frame."""
    entry = tier._core.index.get(key_of(number))
    assert entry is not None
    name, at = f"segment-{entry.segment:05d}", entry.page * PAGE_BYTES + at
    disk.rot(name, at, bytes([disk.content(name)[at] ^ 0x10]))


def test_a_sound_store_is_read_whole() -> None:
    _, tier, _ = store()
    before = tier.stats()
    assert tier.check() == CheckReport(20, 0, ())
    after = tier.stats()
    assert after.counts.hits - before.counts.hits == 20
    assert after.blocks == 20
    assert after.counts.written_bytes == before.counts.written_bytes


def test_an_empty_store_is_sound() -> None:
    disk = sim_disk()
    report = open_small(disk, disk).check()
    assert report.sound
    assert report.blocks == 0


@pytest.mark.parametrize("at", [0, 100, 255, PAGE_BYTES, PAGE_BYTES + 2999])
def test_damaged_blocks_are_counted_named_and_forgotten(at: int) -> None:
    disk, tier, blocks = store()
    for number in (3, 17, 18):
        rot(disk, tier, number, at)
    report = tier.check()
    assert not report.sound
    assert (report.blocks, report.bad_blocks) == (20, 3)
    assert report.problems == ("3 of 20 blocks could not be loaded: each is a miss",)
    for number in (3, 17, 18):
        assert not tier.contains(key_of(number))
        del blocks[key_of(number)]
    assert answers(tier, blocks) == blocks
    assert tier.stats().counts.misses_damaged == 3
    assert tier.check() == CheckReport(17, 0, ())


def test_blocks_that_cannot_be_read_are_problems() -> None:
    disk = sim_disk()
    tier, faults, _, _ = faulty(disk)
    fill(tier, 6)
    faults.add(Fault("error", "read", nth=2, times=2, number=errno.EIO))
    report = tier.check()
    assert report.bad_blocks == 2
    assert tier.stats().counts.misses_failed == 2
    assert tier.check().sound


def test_a_hanging_device_ends_the_check() -> None:
    disk = sim_disk()
    tier, faults, engine, clock = faulty(disk)
    fill(tier, 4)
    faults.add(Fault("hang", "read", nth=1))
    start_ns = clock.now_ns()
    assert not tier.check().sound
    assert clock.now_ns() - start_ns <= 1.1e9 * tier._core.config.read_deadline_s
    assert tier.stats().counts.misses_late >= 1
    engine.release()


@pytest.mark.parametrize("change", ["longer", "shorter", "gone", "more"])
def test_bytes_on_disk_that_nobody_accounts_for_are_a_problem(change: str) -> None:
    disk, tier, _ = store(2)
    name = "segment-00004"
    if change == "longer":
        disk.rot(name, disk.size(name), bytes(PAGE_BYTES))
    elif change == "shorter":
        disk.truncate(name, disk.size(name) - PAGE_BYTES)
    elif change == "gone":
        disk.remove(name)
    else:
        disk.create("segment-00077", PAGE_BYTES)
    on_disk = sum(disk.size(name) for name in disk.names())
    report = tier.check()
    believed = tier.stats().disk_bytes
    assert f"{on_disk} bytes are on disk, {believed} are accounted for" in report.problems


def test_more_bytes_than_allowed_are_a_problem_of_their_own() -> None:
    disk, tier, _ = store(2)
    disk.create("segment-00077", tier.stats().limit_bytes)
    assert any("at most" in problem for problem in tier.check().problems)


def test_strangers_in_the_folder_are_not_counted() -> None:
    disk, tier, _ = store(2)
    disk.create("notes.txt", 1000)
    assert tier.check().sound


def test_counters_that_disagree_are_a_problem() -> None:
    for name, told in (("lookups", "lookups"), ("misses", "misses"), ("puts", "puts")):
        _, tier, _ = store(2)
        tier._core.counters.add(**{name: 1})
        assert any(told in problem for problem in tier.check().problems)


def test_a_block_outside_its_segment_is_a_problem() -> None:
    _, tier, _ = store(3)
    index = tier._core.index
    entry = index.get(key_of(2))
    assert entry is not None
    segment = tier._core.table[entry.segment]
    index.put(key_of(2), entry._replace(page=segment.end_page))
    report = tier.check()
    assert any(f"block {key_of(2).hex()}" in problem for problem in report.problems)


def test_blocks_that_overlap_are_a_problem() -> None:
    _, tier, _ = store(3)
    index = tier._core.index
    first, second = index.get(key_of(0)), index.get(key_of(1))
    assert first is not None
    assert second is not None
    index.put(key_of(1), second._replace(page=first.page + 1))
    assert any("out of bounds" in problem for problem in tier.check().problems)


def test_a_store_under_load_stays_sound() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, TIGHT)
    for n in range(200):
        tier.put(key_of(n % 25), value_of(n % 25, n, 200 * (n % 25)))
        if n % 7 == 0:
            tier.delete(key_of(n % 11))
        if n % 20 == 0:
            assert tier.check() == CheckReport(tier.stats().blocks, 0, ())


def test_a_read_only_store_can_still_be_checked() -> None:
    disk = sim_disk()
    tier, faults, _, _ = faulty(disk)
    fill(tier, 5)
    faults.add(Fault("error", "write", nth=1, times=100))
    for n in range(6):
        assert not tier.put(key_of(20 + n), b"no")
    assert tier.stats().state == "read_only"
    assert tier.check().sound


def test_check_on_a_real_folder_counts_the_lock_too(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        fill(tier, 8)
        assert tier.check() == CheckReport(8, 0, ())
    with real_store(folder) as tier:
        assert tier.check() == CheckReport(8, 0, ())
        extra = folder / "index.new"
        extra.write_bytes(bytes(100))
        assert not tier.check().sound


def test_a_report_is_sound_without_problems_only() -> None:
    report = CheckReport(3, 0, ())
    assert report.sound
    assert not replace(report, problems=("x",)).sound
