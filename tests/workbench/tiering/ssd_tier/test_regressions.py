"""One named test for each failure of other cache tiers that a block store can have."""

from __future__ import annotations

import errno
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import (
    REAL,
    SMALL,
    TIGHT,
    answers,
    faulty,
    fill,
    key_of,
    open_small,
    real_store,
    sim_disk,
    stat_bytes,
    value_of,
    wrong,
)
from workbench.tiering.async_io.clock import RealClock
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier import Attributes, SsdTier

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="O_DIRECT is Linux's")


def place(tier: SsdTier, key: bytes) -> tuple[str, int, int]:
    """Return the file, the offset and the length of a block's frame."""
    entry = tier._core.index.get(key)
    assert entry is not None
    return f"segment-{entry.segment:05d}", entry.page * PAGE_BYTES, entry.n_bytes


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_failed_put_is_invisible(number: int) -> None:
    disk = sim_disk()
    tier, faults, _, _ = faulty(disk)
    old = fill(tier, 2)
    faults.add(Fault("error", "write", nth=1, times=2, number=number))
    assert not tier.put(key_of(1), b"failed over an old one")
    assert not tier.put(key_of(5), b"failed")
    assert answers(tier, old) == old
    assert not tier.contains(key_of(5))
    assert tier.get(key_of(5)) is None
    counts = tier.stats().counts
    assert (counts.puts_failed, counts.write_errors) == (2, 2)
    assert tier.put(key_of(5), b"well again")
    assert tier.flush()
    for image in (disk.reopened(), *disk.crash_images(np.random.default_rng(1), 5, disk.position)):
        again = open_small(image, image)
        assert answers(again, old) == old
        assert again.get(key_of(5)) == b"well again"


def test_failed_put_of_many_is_invisible_for_its_own_blocks_only() -> None:
    disk = sim_disk()
    tier, faults, _, _ = faulty(disk)
    fill(tier, 1)
    faults.add(Fault("error", "write", nth=2))
    blocks = [(key_of(n), value_of(n, 9, 2000), Attributes()) for n in range(1, 4)]
    stored = tier.put_many(blocks)
    assert stored == [True, False, True]
    for (key, value, _), is_stored in zip(blocks, stored, strict=True):
        assert tier.get(key) == (value if is_stored else None)


def test_interleaved_evict_reload_no_cross_read() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, TIGHT)
    newest: dict[bytes, bytes] = {}
    rng = np.random.default_rng(2)
    for version in range(300):
        number = int(rng.integers(30))
        newest[key_of(number)] = value_of(number, version, int(rng.integers(1, 12000)))
        assert tier.put(key_of(number), newest[key_of(number)])
        keys = [key_of(int(n)) for n in rng.integers(30, size=4)]
        for key, view in zip(keys, tier.get_many(keys), strict=True):
            assert view is None or view == newest[key]
    assert tier.stats().counts.blocks_evicted > 50


@pytest.mark.parametrize("real", [False, True])
def test_read_during_write_is_old_or_miss(real: bool, disk_folder: Path) -> None:
    config = replace(REAL if real else SMALL, write_deadline_s=60)
    engine = SynchronousEngine()
    disk = sim_disk()
    tier = (
        SsdTier.open(disk_folder / "store", config, engine)
        if real
        else open_small(disk, disk, config, RealClock())
    )
    versions = [value_of(1, version, 12000) for version in range(30)]
    allowed = set(versions)
    assert tier.put(key_of(1), versions[0])

    def read(_: int) -> int:
        n_seen = 0
        while tier.stats().counts.puts < len(versions):
            value = tier.get(key_of(1))
            assert value is None or value in allowed
            n_seen += value is not None
        return n_seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, number) for number in range(4)]
        for value in versions[1:]:
            assert tier.put(key_of(1), value)
        assert sum(reader.result(60) for reader in readers) > 0
    assert tier.get(key_of(1)) == versions[-1]
    tier.close()
    engine.close()


@linux_only
def test_odirect_refused_falls_back_once_and_says_why(
    disk_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system refuses the flag; the store works through the page cache and says so."""
    real_open, refused = os.open, []

    def open_without_direct(path: object, flags: int, *rest: object, **more: object) -> int:
        if flags & os.O_DIRECT:
            refused.append(str(path))
            raise OSError(errno.EINVAL, "Invalid argument")
        return real_open(path, flags, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", open_without_direct)
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        blocks = fill(tier, 8)
        assert answers(tier, blocks) == blocks
        engine = tier.stats().engine
        assert not engine.direct
        assert engine.fallback_reason.count("O_DIRECT was refused") == 1
        assert "segment-00000" in engine.fallback_reason
        assert 'direct="false"' in tier.stats().prometheus()
        assert tier.stats().counts.write_errors == tier.stats().counts.puts_failed == 0
        n_opened = tier.stats().segments_total
        assert sum("segment" in name for name in refused) == n_opened
    monkeypatch.undo()
    with real_store(folder) as tier:
        assert answers(tier, blocks) == blocks


@linux_only
def test_odirect_refused_by_a_write_falls_back_once_and_says_why(
    disk_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepted when the file is opened, EINVAL at the write: no store of a block may fail of it."""
    real_write, refused = os.pwritev, []

    def refuse_direct(fd: int, *rest: object) -> int:
        flags = Path(f"/proc/self/fdinfo/{fd}").read_text().split("flags:")[1].split()[0]
        if int(flags, 8) & os.O_DIRECT:
            refused.append(fd)
            raise OSError(errno.EINVAL, "Invalid argument")
        return real_write(fd, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "pwritev", refuse_direct)
    with real_store(disk_folder / "store") as tier:
        blocks = fill(tier, 8)
        assert answers(tier, blocks) == blocks
        stats = tier.stats()
        assert "O_DIRECT was accepted, then refused by the first write" in (
            stats.engine.fallback_reason
        )
        assert stats.counts.write_errors == stats.counts.puts_failed == 0
        # Once for each file, however many blocks it took.
        assert len(refused) == len(set(refused)) <= stats.segments_total + 1


def test_odirect_really_on(disk_folder: Path) -> None:
    with SynchronousEngine() as engine, SsdTier.open(disk_folder / "store", REAL, engine) as tier:
        fill(tier, 3)
        assert tier.stats().engine.direct
        for segment in tier._core.table.segments:
            assert engine.direct_proof(segment.file).flag in (True, None)


def test_two_writers_same_key() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, replace(SMALL, write_deadline_s=60), RealClock())
    last = {writer: value_of(writer, 49, 6000) for writer in range(4)}

    def write(writer: int) -> None:
        for version in range(50):
            assert tier.put(key_of(1), value_of(writer, version, 6000))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, writer) for writer in range(4)]:
            done.result(60)
    # Whoever came last is there whole, now and after a restart.
    value = tier.get(key_of(1))
    assert value in last.values()
    assert tier.stats().blocks == 1
    assert tier.check().sound
    image = disk.reopened()
    assert open_small(image, image).get(key_of(1)) == value


def test_exists_implies_loadable_or_miss() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    blocks = fill(tier, 10)
    for number in range(0, 10, 2):
        name, at, n_bytes = place(tier, key_of(number))
        disk.rot(name, at, bytes(n_bytes))
    for key, value in blocks.items():
        assert tier.contains(key)
        got = tier.get(key)
        assert got in (value, None)
        # An answer is never empty or cut, and what could not be loaded exists no more.
        assert tier.contains(key) == (got is not None)
    assert tier.stats().counts.hits == 5


def test_restart_keeps_100_percent_flushed() -> None:
    disk = sim_disk()
    config = replace(SMALL, capacity_bytes=40 * SMALL.capacity_bytes, max_blocks=2000)
    tier = open_small(disk, disk, config)
    blocks = fill(tier, 400, 500)
    assert tier.flush()
    for how in ("clean", "killed", "index lost"):
        image = disk.reopened()
        if how == "clean":
            open_small(image, image, config).close()
            image = image.reopened()
        elif how == "index lost":
            image.remove("index")
        again = open_small(image, image, config)
        assert answers(again, blocks) == blocks, how
        assert again.stats().counts.blocks_recovered == 400


def test_restart_keeps_100_percent_flushed_on_a_real_folder(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder) as tier:
        blocks = fill(tier, 20, 5000)
        assert tier.flush()
    with real_store(folder) as tier:
        assert answers(tier, blocks) == blocks


@pytest.mark.parametrize("kind", ["error", "short", "misdirect", "flip", "hang", "stale"])
def test_load_error_never_raises_into_engine(kind: str) -> None:
    disk = sim_disk()
    tier, faults, engine, _ = faulty(disk)
    blocks = fill(tier, 6)
    faults.add(Fault(kind, "read", chance=0.5))
    for _ in range(20):
        assert wrong(tier, blocks) == []
        tier.get_many(list(blocks))
    assert faults.injected[kind] > 0
    counts = tier.stats().counts
    assert counts.hits + counts.misses == counts.lookups
    engine.release()


@pytest.mark.parametrize("kind", ["error", "short", "flip", "hang"])
def test_failed_load_invalidates_lookup(kind: str) -> None:
    disk = sim_disk()
    tier, faults, engine, _ = faulty(disk)
    fill(tier, 3)
    # A bit of the payload: what is left of the header's page belongs to no sum.
    faults.add(Fault(kind, "read", nth=1, bit=8 * PAGE_BYTES))
    assert tier.get(key_of(1)) is None
    assert not tier.contains(key_of(1))
    n_reads = faults.calls["read"]
    for _ in range(10):
        assert tier.get(key_of(1)) is None
    # Nobody asks the device for it again and again.
    assert faults.calls["read"] == n_reads
    counts = tier.stats().counts
    assert (counts.misses_absent, counts.blocks_forgotten) == (10, 1)
    assert tier.put(key_of(1), b"computed again")
    assert tier.get(key_of(1)) == b"computed again"
    engine.release()


def test_bitrot_is_miss() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk)
    value = value_of(1, 0, 700)
    rng = np.random.default_rng(6)
    for n_flips in range(1, 400):
        assert tier.put(key_of(1), value)
        name, at, _ = place(tier, key_of(1))
        where = int(rng.integers(256 + 700))
        where = where if where < 256 else PAGE_BYTES + where - 256
        byte = disk.content(name)[at + where] ^ (1 << int(rng.integers(8)))
        disk.rot(name, at + where, bytes([byte]))
        assert tier.get(key_of(1)) is None, (where, byte)
        assert tier.stats().counts.misses_damaged == n_flips


@pytest.mark.parametrize("op", ["read", "write", "sync"])
@pytest.mark.parametrize("kind", ["hang", "stale", "delay"])
def test_hung_io_hits_deadline(op: str, kind: str) -> None:
    disk = sim_disk()
    config = replace(SMALL, read_deadline_s=0.5, write_deadline_s=0.8)
    tier, faults, engine, clock = faulty(disk, config=config)
    blocks = fill(tier, 3)
    faults.add(Fault(kind, op, nth=1, times=1000, seconds=3600))
    calls = {
        "get": lambda: tier.get(key_of(0)),
        "get_many": lambda: tier.get_many([key_of(1), key_of(2)]),
        "put": lambda: tier.put(key_of(7), b"new"),
        "delete": lambda: tier.delete(key_of(1)),
        "flush": tier.flush,
        "close": tier.close,
    }
    for name, call in calls.items():
        limit_s = 0.5 if name.startswith("get") else 0.8
        start_ns = clock.now_ns()
        call()
        assert (clock.now_ns() - start_ns) / 1e9 <= 1.1 * limit_s, name
    assert tier.stats().counts.late_requests >= 1
    faults.clear()
    engine.release()
    again = open_small(image := disk.reopened(), image, config)
    assert wrong(again, blocks | {key_of(7): b"new"}) == []


def test_a_late_answer_lands_in_nobody_elses_memory() -> None:
    disk = sim_disk()
    tier, faults, engine, _ = faulty(disk)
    blocks = fill(tier, 6)
    faults.add(Fault("hang", "read", nth=1))
    assert tier.get(key_of(0)) is None
    held = tier.get_many([key_of(n) for n in range(1, 6)])
    assert engine.release() == 1
    assert [bytes(view) for view in held if view is not None] == list(blocks.values())[1:]


def test_publish_after_complete() -> None:
    """A block is to be seen only once every byte of it has been written."""
    disk = sim_disk()
    tier, faults, engine, _ = faulty(disk)
    fill(tier, 1)
    for keep in range(0, 3 * PAGE_BYTES, 512):
        # Half of it arrives, and the device says so.
        faults.add(Fault("short", "write", nth=1, keep_bytes=keep))
        assert not tier.put(key_of(1), value_of(1, keep, 8000))
        faults.clear()
        assert not tier.contains(key_of(1))
        assert tier.put(key_of(2), value_of(2, keep, 100))
    seen: list[bool] = []

    class Watched(SimDisk):
        """A disk that looks into the store whenever a frame is on its way."""

        def submit(self, batch, deadline_s=1.0):  # type: ignore[no-untyped-def]
            if watching and batch[0].op == "write":
                seen.append(watched.contains(key_of(1)))
            return super().submit(batch, deadline_s)

    watching = False
    other = Watched()
    watched = open_small(other, other)
    assert watched.put(key_of(0), b"opens a segment")
    watching = True
    assert watched.put(key_of(1), value_of(1, 0, 8000))
    assert seen == [False]
    assert watched.contains(key_of(1))
    engine.release()


def test_full_256bit_key_compared_on_read() -> None:
    """Keys that differ in any single bit are different; so are entries pointing at each other."""
    disk = sim_disk()
    config = replace(SMALL, capacity_bytes=40 * SMALL.capacity_bytes, max_blocks=2000)
    tier = open_small(disk, disk, config)
    base = bytes(range(32))
    keys = [base]
    for bit in range(256):
        key = bytearray(base)
        key[bit // 8] ^= 1 << bit % 8
        keys.append(bytes(key))
    for number, key in enumerate(keys):
        assert tier.put(key, value_of(number, 0, 50))
    for number, key in enumerate(keys):
        assert tier.get(key) == value_of(number, 0, 50)
    core = tier._core
    theirs = core.index.get(base)
    assert theirs is not None
    for key in keys[1:]:
        # As after a collision in the index: the same place, sum, length and number.
        core.index.put(key, theirs)
        assert tier.get(key) is None
        core.strays.take_aside(key)
    assert tier.stats().counts.misses_damaged == 256
    assert tier.get(base) == value_of(0, 0, 50)


def test_disk_bytes_bounded(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    config = replace(REAL, capacity_bytes=4 * REAL.segment_bytes, max_blocks=12)
    rng = np.random.default_rng(4)
    offered = 0
    with real_store(folder, config) as tier:
        for number in range(120):
            value = value_of(number, 0, int(rng.integers(0, 20000)))
            offered += len(value)
            tier.put(key_of(int(rng.integers(60))), value)
            assert stat_bytes(folder) <= config.capacity_bytes
            assert tier.stats().disk_bytes == stat_bytes(folder)
        assert offered > 4 * config.capacity_bytes
    for _ in range(3):
        with real_store(folder, config) as tier:
            assert tier.stats().disk_bytes == stat_bytes(folder) <= config.capacity_bytes


def test_disk_bytes_bounded_on_a_device_that_fails_now_and_then() -> None:
    disk = sim_disk()
    config = replace(TIGHT, read_only_retry_s=0.001)
    tier, faults, engine, clock = faulty(disk, config=config)
    for op in ("write", "sync", "create", "replace", "remove", "sync_folder"):
        faults.add(Fault("error", op, chance=0.05))
    for number in range(300):
        tier.put(key_of(number % 40), value_of(number % 40, number, 5000))
        clock.sleep(0.01)
        assert sum(disk.size(name) for name in disk.names()) <= config.capacity_bytes
    assert faults.injected["error"] > 5
    engine.release()
