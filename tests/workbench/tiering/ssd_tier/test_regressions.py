"""What went wrong in other tiers does not go wrong here (RELIABILITY, section 2, by its names)."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path

from tests.torture.model import key_of, value_of
from tests.torture.stores import SMALL
from tests.workbench.tiering.ssd_tier.conftest import Bench
from workbench.tiering.async_io import files
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.ssd_tier import SsdTier

A = key_of(1)
OLD, NEW = value_of(1, 1, 9000), value_of(1, 2, 9000)


def test_failed_put_is_invisible(bench: Bench) -> None:
    """R1."""
    bench.tier.put(A, OLD)
    bench.fail("error", "write")
    assert not bench.tier.put(A, NEW)
    assert not bench.tier.put(key_of(2), b"") or bench.tier.get(key_of(2)) == b""
    assert bench.tier.get(A) == OLD
    assert bench.tier.flush()
    assert bench.killed().get(A) == OLD


def _readers_beside(tier: SsdTier, write: Callable[[int], object], n_writes: int) -> set[bytes]:
    """Read one key from four threads while it is written; return every answer but a miss."""
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            value = tier.get(A)
            if value is not None:
                seen.add(value)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(n_writes):
        write(number)
    stop.set()
    for thread in threads:
        thread.join()
    return seen


def test_read_during_write_is_old_or_miss(bench: Bench) -> None:
    """R4."""
    values = [value_of(1, version, 9000) for version in range(60)]
    seen = _readers_beside(bench.tier, lambda n: bench.tier.put(A, values[n]), 60)
    assert seen <= set(values)
    counts = bench.tier.stats().counts
    assert counts.hits + counts.misses == counts.lookups


def test_odirect_refused_falls_back_once_and_says_why(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """R5."""
    real_open = files.os.open

    def refusing(path: Path, flags: int, *rest: int, **more: int) -> int:
        if flags & files.os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real_open(path, flags, *rest, **more)

    monkeypatch.setattr(files.os, "open", refusing)
    with SsdTier.open(tmp_path / "store", SMALL, SynchronousEngine()) as tier:
        assert tier.put(A, OLD)
        assert tier.get(A) == OLD
        engine = tier.stats().engine
        assert not engine.direct
        assert "O_DIRECT" in engine.fallback_reason
        assert "O_DIRECT" in tier.stats().prometheus()


def test_two_writers_same_key(bench: Bench) -> None:
    """R7."""
    values = {n: value_of(1, n, 5000) for n in range(8)}
    threads = [threading.Thread(target=bench.tier.put, args=(A, values[n])) for n in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = bench.tier.get(A)
    assert last in values.values()
    assert bench.tier.flush()
    assert bench.killed().get(A) == last


def test_exists_implies_loadable_or_miss(bench: Bench) -> None:
    """R9."""
    bench.tier.put(A, OLD)
    entry = bench.core.index.get(A)
    assert entry is not None
    bench.disk.rot(f"segment-{entry.segment:05d}", entry.page * 4096, bytes(4096))
    assert bench.tier.contains(A)
    assert bench.tier.get(A) is None
    assert not bench.tier.contains(A)


def test_restart_keeps_100_percent_flushed(bench: Bench) -> None:
    """R10."""
    kept = {key_of(n): value_of(n, 0, 700 * n) for n in range(9)}
    for key, value in kept.items():
        bench.tier.put(key, value)
    assert bench.tier.flush()
    again = bench.killed()
    assert {key: again.get(key) for key in kept} == kept


def test_failed_load_invalidates_lookup(bench: Bench) -> None:
    """R11, R12: a miss, once; nobody asks the device again, and nothing is raised."""
    bench.tier.put(A, OLD)
    bench.fail("error", "read")
    assert bench.tier.get(A) is None
    reads = bench.faults.calls["read"]
    assert bench.tier.get(A) is None
    assert bench.faults.calls["read"] == reads
    assert bench.tier.put(A, NEW)
    assert bench.tier.get(A) == NEW


def test_publish_after_complete(bench: Bench) -> None:
    """R16: a block is in the index only once its frame is written."""
    seen = []
    submit = bench.disk.submit

    def spying(batch, deadline_s=10.0, on_whole=None):  # type: ignore[no-untyped-def]
        seen.append(A in bench.core.index)
        return submit(batch, deadline_s, on_whole)

    bench.disk.submit = spying  # type: ignore[method-assign]
    bench.tier.put(A, OLD)
    assert seen
    assert not any(seen)
    assert bench.tier.contains(A)


def test_hung_io_hits_deadline_and_no_byte_of_another_request(bench: Bench) -> None:
    """R8, R13: the late read lands in memory that nobody else was given."""
    for number in range(4):
        bench.tier.put(key_of(number), value_of(number, 0, 9000))
    bench.fail("hang", "read")
    start_ns = bench.clock.now_ns()
    assert bench.tier.get(key_of(0)) is None
    assert bench.clock.now_ns() - start_ns <= 1.1e9 * bench.core.config.read_deadline_s
    held = bench.tier.get_many([key_of(n) for n in range(1, 4)])
    bench.engine.release()
    assert [bytes(view or b"") for view in held] == [value_of(n, 0, 9000) for n in range(1, 4)]


def test_a_view_of_an_evicted_block_stays_what_it_was(bench: Bench) -> None:
    """RELIABILITY row 32."""
    bench.tier.put(A, OLD)
    (view,) = bench.tier.get_many([A])
    for number in range(2, 60):
        bench.tier.put(key_of(number), value_of(number, 0, 16000))
    assert view == OLD


def test_64_threads_on_the_same_keys(bench: Bench) -> None:
    """RELIABILITY row 31: no torn view, and every lookup is a hit or a miss."""
    allowed = {key_of(n): {value_of(n, v, 3000) for v in range(8)} for n in range(4)}
    wrong: list[bytes] = []

    def work(seed: int) -> None:
        for step in range(12):
            number = (seed + step) % 4
            if (seed + step) % 3 == 0:
                bench.tier.put(key_of(number), value_of(number, (seed * step) % 8, 3000))
            else:
                value = bench.tier.get(key_of(number))
                if value is not None and value not in allowed[key_of(number)]:
                    wrong.append(value)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    counts = bench.tier.stats().counts
    assert counts.hits + counts.misses == counts.lookups > 0
    assert bench.tier.check().sound


def test_memory_that_runs_out_is_a_miss_and_a_failed_put(bench: Bench, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """RELIABILITY row 35."""
    bench.tier.put(A, OLD)

    def none_left(n_bytes: int) -> memoryview:
        raise MemoryError

    monkeypatch.setattr(type(bench.core.pool), "lease", lambda pool, n: none_left(n))
    assert not bench.tier.put(key_of(2), NEW)
    assert bench.tier.get(A) is None
    monkeypatch.undo()
    assert bench.tier.get(A) == OLD
    assert bench.tier.check().sound
