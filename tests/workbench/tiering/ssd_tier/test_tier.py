"""The store's door: blocks go in and come out, every call is counted, no bound is passed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import (
    REAL,
    REAL_TIGHT,
    SMALL,
    TIGHT,
    answers,
    fill,
    key_of,
    open_small,
    real_store,
    sim_disk,
    stat_bytes,
    value_of,
)
from workbench.errors import UsageError
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier import (
    Attributes,
    SsdTier,
    SsdTierConfig,
    StoreForkedError,
    StoreInUseError,
    StoreRolledBackError,
)

LENGTHS = (0, 1, 4095, 4096, 4097, 16384)
Opener = Callable[..., SsdTier]


@pytest.fixture(params=["sim_disk", "real_folder"])
def opener(request: pytest.FixtureRequest, disk_folder: Path) -> Iterator[Opener]:
    """Return what opens the same store again and again, on either kind of disk."""
    engine = SynchronousEngine()
    disk = sim_disk()

    def on_sim_disk(config: SsdTierConfig = REAL) -> SsdTier:
        return open_small(disk, disk, config)

    def on_real_folder(config: SsdTierConfig = REAL) -> SsdTier:
        return SsdTier.open(disk_folder / "store", config, engine)

    yield on_sim_disk if request.param == "sim_disk" else on_real_folder
    engine.close()


@pytest.fixture
def any_tier(opener: Opener) -> Iterator[SsdTier]:
    """Return a new store on either kind of disk."""
    with opener() as opened:
        yield opened


@pytest.fixture
def tier() -> Iterator[SsdTier]:
    """Return a new store on a simulated disk, where the kind of disk makes no difference."""
    disk = sim_disk()
    with open_small(disk, disk) as opened:
        yield opened


@pytest.mark.parametrize("n_bytes", LENGTHS)
def test_what_was_put_is_got(any_tier: SsdTier, n_bytes: int) -> None:
    value = value_of(1, 0, n_bytes)
    assert any_tier.put(key_of(1), value)
    assert any_tier.get(key_of(1)) == value
    assert any_tier.stored_bytes(key_of(1)) == n_bytes
    assert any_tier.check().sound


def test_a_key_that_was_never_put_is_a_miss(tier: SsdTier) -> None:
    assert tier.get(key_of(1)) is None
    assert not tier.contains(key_of(1))
    assert tier.stored_bytes(key_of(1)) is None
    counts = tier.stats().counts
    assert (counts.lookups, counts.misses, counts.misses_absent) == (1, 1, 1)


def test_the_newest_value_counts(tier: SsdTier) -> None:
    for version in range(3):
        assert tier.put(key_of(1), value_of(1, version, 5000 - version))
    assert tier.get(key_of(1)) == value_of(1, 2, 4998)
    assert tier.stats().blocks == 1


def test_the_same_bytes_again_are_not_written(tier: SsdTier) -> None:
    assert tier.put(key_of(1), b"same")
    written = tier.stats().counts.written_bytes
    assert tier.put(key_of(1), b"same")
    counts = tier.stats().counts
    assert counts.written_bytes == written
    assert (counts.puts, counts.puts_written, counts.puts_unchanged) == (2, 1, 1)


def test_other_attributes_are_another_block(tier: SsdTier) -> None:
    mine = Attributes(bytes(32), b"t" * 16, 3, 9)
    assert tier.put(key_of(1), b"same")
    assert tier.put(key_of(1), b"same", mine)
    assert tier.stats().counts.puts_written == 2
    assert tier.get_many([key_of(1)], None, mine) == [b"same"]
    (frame,) = tier.get_frames([key_of(1)])
    assert frame is not None
    assert frame.header.attributes() == mine


@pytest.mark.parametrize(
    "other",
    [
        Attributes(fingerprint=b"f" * 32),
        Attributes(tenant=b"t" * 16),
        Attributes(codec=1),
    ],
)
def test_a_block_of_others_is_a_miss_and_stays(tier: SsdTier, other: Attributes) -> None:
    assert tier.put(key_of(1), b"mine")
    assert tier.get_many([key_of(1)], None, other) == [None]
    counts = tier.stats().counts
    assert (counts.misses, counts.misses_foreign) == (1, 1)
    assert tier.get(key_of(1)) == b"mine"


def test_put_many_answers_for_each_block(any_tier: SsdTier) -> None:
    too_large = bytes(SMALL.segment_bytes)
    blocks = [
        (key_of(0), b"first", Attributes()),
        (key_of(1), too_large, Attributes()),
        (key_of(2), b"third", Attributes()),
        (key_of(0), b"again", Attributes()),
    ]
    assert any_tier.put_many(blocks) == [True, False, True, True]
    assert any_tier.get_many([key_of(n) for n in range(3)]) == [b"again", None, b"third"]
    counts = any_tier.stats().counts
    assert (counts.puts, counts.puts_written, counts.puts_too_large) == (4, 3, 1)
    assert any_tier.put_many([]) == []


def test_the_largest_block_fits_and_one_byte_more_does_not(tier: SsdTier) -> None:
    largest = (SMALL.segment_bytes // PAGE_BYTES // 2 - 3) * PAGE_BYTES
    value = value_of(1, 0, largest)
    assert tier.put(key_of(1), value)
    assert not tier.put(key_of(2), bytes(largest + 1))
    assert tier.get(key_of(1)) == value
    assert tier.get(key_of(2)) is None


def test_get_many_fills_given_buffers_in_their_order(any_tier: SsdTier) -> None:
    blocks = fill(any_tier, 4, 5000)
    keys = [key_of(n) for n in (3, 9, 0, 2)]
    buffers = [aligned_buffer(2 * PAGE_BYTES) for _ in keys]
    got = any_tier.get_many(keys, buffers)
    assert got[1] is None
    for key, view, buffer in zip(keys, got, buffers, strict=True):
        if view is not None:
            assert view == blocks[key]
            assert view.obj is buffer.obj
            assert bytes(buffer[:5000]) == blocks[key]


@pytest.mark.parametrize("fault", ["too_small", "off_the_grid", "strided"])
def test_a_buffer_that_does_not_fit_is_replaced_by_pooled_memory(tier: SsdTier, fault: str) -> None:
    value = value_of(1, 0, 5000)
    assert tier.put(key_of(1), value)
    memory = aligned_buffer(8 * PAGE_BYTES)
    memory[:] = b"\x07" * memory.nbytes
    given = {
        "too_small": memory[:5000],
        "off_the_grid": memory[512 : 512 + 2 * PAGE_BYTES],
        "strided": memory[: 4 * PAGE_BYTES : 2],
    }[fault]
    assert tier.get(key_of(1), given) == value
    assert bytes(memory) == b"\x07" * memory.nbytes


def test_a_value_from_the_pool_stays_as_it_is_while_it_is_held(tier: SsdTier) -> None:
    blocks = fill(tier, 6, 6000)
    held = tier.get_many(list(blocks))
    fill(tier, 6, 6000, version=1)
    for _ in range(5):
        tier.get_many(list(blocks))
    assert held == list(blocks.values())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_contiguous_bytes_may_be_put(tier: SsdTier, kind: Callable[[bytes], bytes]) -> None:
    assert tier.put(key_of(1), kind(b"0123456789"))
    assert tier.get(key_of(1)) == b"0123456789"


def test_a_changed_buffer_does_not_change_the_block(tier: SsdTier) -> None:
    value = bytearray(value_of(1, 0, 9000))
    assert tier.put(key_of(1), value)
    before = bytes(value)
    value[:] = bytes(9000)
    assert tier.get(key_of(1)) == before


def test_delete_forgets_for_good(opener: Opener) -> None:
    with opener() as tier:
        fill(tier, 3)
        assert tier.delete(key_of(1))
        assert not tier.delete(key_of(1))
        assert not tier.contains(key_of(1))
        assert tier.get(key_of(1)) is None
        assert tier.stats().counts.deletes == 1
        assert tier.check().sound
    with opener() as tier:
        assert tier.get(key_of(1)) is None
        assert tier.contains(key_of(2))


@pytest.mark.parametrize("n_bytes", [0, 31, 33])
def test_a_key_of_another_length_is_an_error_that_names_both(tier: SsdTier, n_bytes: int) -> None:
    key = bytes(n_bytes)
    for call in (tier.get, tier.delete, tier.contains, tier.stored_bytes):
        with pytest.raises(UsageError, match=rf"{n_bytes} bytes .* 32"):
            call(key)
    with pytest.raises(UsageError, match="32"):
        tier.put(key, b"")


def test_bytes_that_lie_apart_are_an_error(tier: SsdTier) -> None:
    with pytest.raises(UsageError, match="contiguous"):
        tier.put(key_of(1), memoryview(bytes(10))[::2])
    assert tier.stats().counts.puts == 0


def test_as_many_buffers_as_keys(tier: SsdTier) -> None:
    with pytest.raises(UsageError, match="2 buffers for 1 keys"):
        tier.get_many([key_of(1)], [None, None])


def test_all_sums_agree_after_a_mix_of_calls(any_tier: SsdTier) -> None:
    blocks = fill(any_tier, 8, 4000)
    for n in range(12):
        any_tier.get(key_of(n))
    any_tier.get_many([key_of(n) for n in range(4, 12)])
    any_tier.delete(key_of(0))
    any_tier.get(key_of(0))
    counts = any_tier.stats().counts
    assert counts.lookups == 12 + 8 + 1
    assert counts.hits == 8 + 4
    assert counts.hits + counts.misses == counts.lookups
    assert counts.hit_bytes == 12 * 4000
    assert counts.put_bytes == sum(map(len, blocks.values()))


def test_write_amplification_is_all_bytes_written_over_bytes_put(opener: Opener) -> None:
    with opener(REAL_TIGHT) as tier:
        assert tier.stats().write_amplification == 0
        for n in range(60):
            tier.put(key_of(n % 20), value_of(n % 20, n, 8192))
            tier.get(key_of(n % 3))
        stats = tier.stats()
        counts = stats.counts
        assert counts.blocks_reinserted > 0
        assert counts.put_bytes == 8192 * counts.puts_written
        frames = counts.puts_written + counts.blocks_reinserted
        assert counts.written_bytes > 3 * PAGE_BYTES * frames
        assert stats.write_amplification == counts.written_bytes / counts.put_bytes > 1.5


def test_a_closed_store_refuses_without_raising(any_tier: SsdTier) -> None:
    fill(any_tier, 2)
    any_tier.close()
    any_tier.close()
    assert any_tier.put(key_of(1), b"x") is False
    assert any_tier.put_many([(key_of(1), b"x", Attributes())]) == [False]
    assert any_tier.get(key_of(1)) is None
    assert any_tier.get_many([key_of(0), key_of(1)]) == [None, None]
    assert not any_tier.contains(key_of(1))
    assert not any_tier.delete(key_of(1))
    assert not any_tier.flush()
    stats = any_tier.stats()
    assert stats.state == "closed"
    assert stats.counts.hits + stats.counts.misses == stats.counts.lookups == 3
    assert stats.counts.misses_refused == 3
    assert stats.counts.puts_refused == 2


def test_everything_is_there_after_closing_and_opening(opener: Opener) -> None:
    with opener() as tier:
        blocks = fill(tier, 10, 3000)
    with opener() as tier:
        assert answers(tier, blocks) == blocks
        stats = tier.stats()
        assert stats.counts.blocks_recovered == 10
        assert stats.counts.headers_scanned == 0
        assert tier.check().sound


def test_many_times_the_capacity_stays_within_it(opener: Opener) -> None:
    with opener(REAL_TIGHT) as tier:
        for n in range(120):
            assert tier.put(key_of(n), value_of(n, 0, 9000))
            stats = tier.stats()
            assert stats.disk_bytes <= stats.limit_bytes <= TIGHT.capacity_bytes
            assert stats.blocks <= stats.max_blocks
        assert tier.stats().counts.put_bytes > 4 * TIGHT.capacity_bytes
        assert tier.stats().counts.blocks_evicted > 100
        assert tier.get(key_of(119)) == value_of(119, 0, 9000)
        assert tier.check().sound


def test_the_gauge_is_what_the_file_system_says(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder, REAL_TIGHT) as tier:
        for n in range(60):
            assert tier.put(key_of(n), value_of(n, 0, 12000))
            assert tier.stats().disk_bytes == stat_bytes(folder)
        assert tier.stats().counts.snapshots > 1
    assert tier.stats().disk_bytes == stat_bytes(folder) <= TIGHT.capacity_bytes


def test_room_is_taken_when_the_store_is_made(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        segments = [path.stat() for path in folder.glob("segment-*")]
        assert len(segments) == tier.stats().segments_total
        assert {found.st_size for found in segments} == {SMALL.segment_bytes}
        assert all(found.st_blocks * 512 >= SMALL.segment_bytes for found in segments)


def test_files_are_for_their_owner_only(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        fill(tier, 2)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_second_opening_is_told_who_holds_the_store(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        fill(tier, 3)
        with pytest.raises(StoreInUseError, match=f"in use by pid {os.getpid()}"):
            SsdTier.open(folder, SMALL, SynchronousEngine())
        assert tier.check().sound
    with real_store(folder) as tier:
        assert tier.contains(key_of(2))


def test_a_child_after_a_fork_is_refused(disk_folder: Path) -> None:
    with real_store(disk_folder / "store") as tier:
        fill(tier, 1)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                tier.get(key_of(0))
            except StoreForkedError:
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert tier.get(key_of(0)) is not None


def test_only_what_was_flushed_is_counted_as_safe(any_tier: SsdTier) -> None:
    assert any_tier.put(key_of(1), bytes(5000))
    assert any_tier.stats().unflushed_bytes == 3 * PAGE_BYTES
    assert any_tier.flush()
    stats = any_tier.stats()
    assert stats.unflushed_bytes == 0
    assert (stats.counts.flushes, stats.counts.flushes_failed) == (1, 0)
    assert stats.durable_sequence > 0


def test_the_background_flush_needs_no_call(disk_folder: Path) -> None:
    config = replace(REAL, flush_every_s=0.02)
    with real_store(disk_folder / "store", config) as tier:
        fill(tier, 3)
        for _ in range(1000):
            if not tier.stats().unflushed_bytes:
                break
            tier._core.clock.sleep(0.005)
        assert tier.stats().unflushed_bytes == 0
        assert tier.stats().counts.flushes >= 1


def test_a_pin_recognises_an_older_copy() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    fill(tier, 3)
    tier.close()
    old = disk.reopened()
    tier = open_small(now := disk.reopened(), now)
    tier.put(key_of(9), b"newer")
    pin = tier.pin()
    tier.close()
    with pytest.raises(StoreRolledBackError, match="restored from a copy"):
        SsdTier.open(old, SMALL, old, pin=pin)
    with pytest.raises(StoreRolledBackError):
        SsdTier.open(empty := SimDisk(), SMALL, empty, pin=pin)
    again = now.reopened()
    reopened = SsdTier.open(again, SMALL, again, pin=pin)
    assert reopened.get(key_of(9)) == b"newer"


def test_an_engine_of_ones_own_stays_open() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    tier.close()
    other = disk.open(disk.path("index"), writable=False)
    disk.forget(other)


def test_the_best_engine_is_taken_and_closed_with_the_store(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with SsdTier.open(folder, REAL) as tier:
        blocks = fill(tier, 5)
        assert answers(tier, blocks) == blocks
        assert tier.stats().engine.kind in ("io_uring", "threads")
    with SsdTier.open(folder, REAL) as tier:
        assert answers(tier, blocks) == blocks


def test_prometheus_has_every_counter_and_gauge_once(tier: SsdTier) -> None:
    fill(tier, 2)
    tier.get(key_of(0))
    lines = tier.stats().prometheus().splitlines()
    names = [line.split()[0] for line in lines if not line.startswith("#")]
    assert len(names) == len(set(names))
    assert "ssd_tier_hits_total 1" in lines
    assert "ssd_tier_puts_written_total 2" in lines
    assert f"ssd_tier_disk_bytes {tier.stats().disk_bytes}" in lines


def test_all_of_some_blocks_are_there_or_not(any_tier: SsdTier) -> None:
    assert any_tier.contains_all([])
    assert any_tier.put(key_of(1), b"one")
    assert any_tier.put(key_of(2), b"two")
    assert any_tier.contains_all([key_of(2), key_of(1)])
    assert not any_tier.contains_all([key_of(1), key_of(3)])
