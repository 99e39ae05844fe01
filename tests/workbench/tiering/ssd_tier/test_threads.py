"""Many threads on the same keys: no answer is torn, mixed or another key's, and all sums agree."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import (
    REAL_TIGHT,
    SMALL,
    TIGHT,
    key_of,
    open_small,
    real_store,
    sim_disk,
    stat_bytes,
)
from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.clock import RealClock
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig

N_THREADS = 64
N_KEYS = 16


def told(number: int, version: int, n_words: int) -> bytes:
    """Return a value every 16 bytes of which say key, version and place."""
    words = np.empty((n_words, 4), "<u4")
    words[:, 0], words[:, 1], words[:, 2] = number, version, n_words
    words[:, 3] = np.arange(n_words)
    return words.tobytes()


def version_of(number: int, value: bytes | memoryview) -> int:
    """Return which version a value is; AssertionError if it is torn, mixed or another key's."""
    words = np.frombuffer(value, "<u4").reshape(-1, 4)
    assert (words[:, 0] == number).all()
    assert (words[:, 1] == words[0, 1]).all()
    assert (words[:, 2] == len(words)).all()
    assert (words[:, 3] == np.arange(len(words))).all()
    return int(words[0, 1])


def in_threads(work: Callable[[int], None], n_threads: int = N_THREADS) -> None:
    """Run the same work in many threads that begin together, and raise the first failure."""
    gate = threading.Barrier(n_threads)

    def run(number: int) -> None:
        gate.wait(30)
        work(number)

    with ThreadPoolExecutor(n_threads) as pool:
        for done in [pool.submit(run, number) for number in range(n_threads)]:
            done.result(60)


def mix(tier: SsdTier, n_steps: int) -> Callable[[int], None]:
    """Return work that puts, gets and deletes the same few keys, and looks at every answer."""

    def work(thread: int) -> None:
        rng = np.random.default_rng(thread)
        buffers = [aligned_buffer(4 * PAGE_BYTES) for _ in range(3)]
        for step in range(n_steps):
            number = int(rng.integers(N_KEYS))
            choice = rng.random()
            if choice < 0.35:
                version = thread * 1000 + step
                tier.put(key_of(number), told(number, version, int(rng.integers(1, 800))))
            elif choice < 0.4:
                tier.delete(key_of(number))
            elif choice < 0.7:
                value = tier.get(key_of(number))
                assert value is None or version_of(number, value) >= 0
            elif choice < 0.95:
                numbers = rng.integers(N_KEYS, size=3).tolist()
                views = tier.get_many([key_of(n) for n in numbers], buffers)
                for n, view in zip(numbers, views, strict=True):
                    assert view is None or version_of(n, view) >= 0
            else:
                tier.stats()

    return work


def assert_sums(tier: SsdTier) -> None:
    counts = tier.stats().counts
    assert counts.hits + counts.misses == counts.lookups
    causes = counts.misses_absent + counts.misses_damaged + counts.misses_failed
    causes += counts.misses_late + counts.misses_refused + counts.misses_foreign
    assert causes == counts.misses
    outcomes = counts.puts_written + counts.puts_unchanged + counts.puts_not_admitted
    outcomes += counts.puts_too_large + counts.puts_failed + counts.puts_refused
    assert outcomes == counts.puts


@pytest.mark.parametrize("config", [SMALL, TIGHT], ids=["roomy", "tight"])
def test_no_view_is_torn_and_sums_agree(config: SsdTierConfig) -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, replace(config, write_deadline_s=60), RealClock())
    in_threads(mix(tier, 40))
    assert_sums(tier)
    counts = tier.stats().counts
    assert counts.misses_damaged == counts.misses_failed == counts.misses_late == 0
    assert counts.puts_failed == counts.blocks_dropped == 0
    assert counts.hits > 100
    assert tier.check().sound
    assert tier.stats().disk_bytes == sum(disk.size(name) for name in disk.names())


def test_no_view_is_torn_on_a_real_folder(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder, replace(REAL_TIGHT, flush_every_s=0.05)) as tier:
        in_threads(mix(tier, 6))
        assert_sums(tier)
        counts = tier.stats().counts
        assert counts.misses_damaged == counts.misses_failed == 0
        assert tier.check().sound
        assert tier.stats().disk_bytes == stat_bytes(folder) <= REAL_TIGHT.capacity_bytes
        last = {n: tier.get(key_of(n)) for n in range(N_KEYS)}
    with real_store(folder, REAL_TIGHT) as tier:
        assert {n: tier.get(key_of(n)) for n in range(N_KEYS)} == last


def test_each_thread_reads_back_its_own_keys() -> None:
    disk = sim_disk()
    config = replace(SMALL, capacity_bytes=20 * SMALL.capacity_bytes, max_blocks=800)
    tier = open_small(disk, disk, replace(config, write_deadline_s=60), RealClock())

    def work(thread: int) -> None:
        for step in range(10):
            number = 1000 + 10 * thread + step
            assert tier.put(key_of(number), told(number, step, 50))
            value = tier.get(key_of(number))
            assert value is not None
            assert version_of(number, value) == step

    in_threads(work)
    assert tier.stats().blocks == 640
    assert tier.stats().counts.puts_written == tier.stats().counts.hits == 640
    assert tier.check().sound


def test_a_reader_never_sees_an_older_version_after_a_newer_one() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, replace(TIGHT, write_deadline_s=60), RealClock())
    done = threading.Event()

    def work(thread: int) -> None:
        if thread == 0:
            for version in range(200):
                assert tier.put(key_of(1), told(1, version, 300))
            done.set()
            return
        newest = -1
        while not done.is_set():
            value = tier.get(key_of(1))
            if value is not None:
                version = version_of(1, value)
                assert version >= newest
                newest = version

    in_threads(work, 8)
    assert tier.get(key_of(1)) == told(1, 199, 300)


def test_views_that_are_held_outlive_the_segments_they_came_from() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, replace(TIGHT, write_deadline_s=60), RealClock())

    def work(thread: int) -> None:
        held = []
        for step in range(15):
            number = (thread + step) % N_KEYS
            tier.put(key_of(number), told(number, thread * 100 + step, 400))
            (view,) = tier.get_many([key_of(number)])
            if view is not None:
                held.append((number, version_of(number, view), view))
        for number, version, view in held:
            assert version_of(number, view) == version

    in_threads(work, 16)
    assert tier.stats().counts.segments_reclaimed > 5


def test_flush_check_and_stats_may_run_beside_everything() -> None:
    disk = sim_disk()
    tier = open_small(disk, disk, replace(TIGHT, write_deadline_s=60), RealClock())
    worker = mix(tier, 25)

    def work(thread: int) -> None:
        if thread % 4:
            worker(thread)
            return
        for _ in range(4):
            assert tier.flush()
            assert tier.check().bad_blocks == 0
            assert tier.stats().prometheus()

    in_threads(work, 16)
    assert_sums(tier)


def test_closing_under_load_ends_every_call_without_a_wrong_byte(disk_folder: Path) -> None:
    folder = disk_folder / "store"
    with real_store(folder, REAL_TIGHT) as tier:
        worker = mix(tier, 15)

        def work(thread: int) -> None:
            if thread == 7:
                tier.close()
            else:
                worker(thread)

        in_threads(work, 16)
        assert tier.stats().state == "closed"
        assert_sums(tier)
    with real_store(folder, REAL_TIGHT) as tier:
        assert tier.check().sound


def test_a_failing_device_under_many_threads_gives_misses_only() -> None:
    disk = sim_disk()
    faults = Faults(seed=5)
    engine = FaultIO(disk, faults)
    config = replace(TIGHT, write_deadline_s=60, read_only_retry_s=0.001)
    tier = open_small(FaultFolder(disk, faults), engine, config, RealClock())
    for op in ("read", "write", "sync"):
        faults.add(Fault("error", op, chance=0.02))
    for op in ("read", "write"):
        faults.add(Fault("flip", op, chance=0.02))
    in_threads(mix(tier, 25), 32)
    assert_sums(tier)
    counts = tier.stats().counts
    errors = counts.read_errors + counts.write_errors + counts.sync_errors
    assert errors == faults.injected["error"] > 0
    assert faults.injected["flip"] > 0
    faults.clear()
    engine.release()
    is_stored = tier.put(key_of(99), told(99, 1, 10))
    assert tier.get(key_of(99)) == (told(99, 1, 10) if is_stored else None)
