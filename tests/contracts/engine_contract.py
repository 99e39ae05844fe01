"""What every I/O engine must do, as a class that the tests of each engine inherit.

Follows: zarr's and cachetools' conformance classes; bytes are checked past the engine under test.
Leaves out: what only one engine can show (rings, threads, faults); their own tests have it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.tiering.async_io.buffers import aligned_buffer, fill_random, split
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    DeadlineError,
    Engine,
    MisalignedError,
    Request,
    ShortTransferError,
    StorageError,
    check_all,
)

N_PAGES = 512
N_BYTES = N_PAGES * PAGE_BYTES


class Bench:
    """An engine, and a way to make and look at its files that does not go through it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder

    def make(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def content(self, name: str) -> bytes:
        with (self.folder / name).open("rb") as file:
            return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


class EngineContract:
    """Inherit, and override `open_engine` (or the `bench` fixture)."""

    #: Whether the engine bypasses the page cache, and so has a grid.
    direct = True
    #: Whether the engine says what is whole while later blocks are under way.
    tells = True

    def open_engine(self) -> Any:
        raise AssertionError("a subclass opens the engine")

    @pytest.fixture
    def bench(self, disk_folder: Path) -> Iterator[Bench]:
        engine = self.open_engine()
        try:
            yield Bench(engine, disk_folder)
        finally:
            engine.close()

    @pytest.fixture
    def content(self) -> bytes:
        return np.random.default_rng(0).bytes(N_BYTES)

    @pytest.fixture
    def file(self, bench: Bench, content: bytes) -> int:
        return bench.engine.open(bench.make("blocks", content))

    # Moving bytes

    def test_reads_of_mixed_sizes_give_the_file_back(self, bench, file, content):
        rng = np.random.default_rng(1)
        batch = []
        for _ in range(60):
            n_pages = int(rng.choice([1, 1, 2, 4, 16, 64, 256]))
            offset = int(rng.integers(0, N_PAGES - n_pages + 1)) * PAGE_BYTES
            batch.append(Request("read", file, offset, aligned_buffer(n_pages * PAGE_BYTES)))
        check_all(bench.engine.submit(batch))
        for request in batch:
            assert request.buffer == content[request.offset : request.offset + request.n_bytes]

    def test_writes_of_mixed_sizes_change_their_blocks_and_no_others(self, bench, file, content):
        expected = bytearray(content)
        batch, page = [], 0
        for seed, n_pages in enumerate([1, 3, 16, 1, 64, 200]):
            buffer = aligned_buffer(n_pages * PAGE_BYTES)
            fill_random(buffer, np.random.default_rng(seed))
            offset = page * PAGE_BYTES
            batch.append(Request("write", file, offset, buffer))
            expected[offset : offset + buffer.nbytes] = buffer
            page += n_pages + 5
        check_all(bench.engine.submit(batch))
        assert bench.content("blocks") == expected

    def test_completions_come_in_the_order_of_the_batch(self, bench, file):
        order = np.random.default_rng(2).permutation(100)
        batch = [
            Request("read", file, int(page) * PAGE_BYTES, aligned_buffer(PAGE_BYTES))
            for page in order
        ]
        completions = bench.engine.submit(batch)
        assert [done.request for done in completions] == batch
        assert all(done.request is asked for done, asked in zip(completions, batch, strict=True))
        assert all(done.took_ns >= 0 for done in completions)

    def tell_of(self, bench, batch, content) -> list[int]:
        """Submit a batch; return what was told of it, each time checked."""
        told: list[int] = []
        alone, returned = threading.Lock(), threading.Event()

        def on_whole(n_whole: int) -> None:
            assert not returned.is_set(), "told after the batch was over"
            assert alone.acquire(blocking=False), "told by two threads at once"
            for request in batch[told[-1] if told else 0 : n_whole]:
                end = request.offset + request.n_bytes
                assert request.buffer == content[request.offset : end]
            told.append(n_whole)
            alone.release()

        n_before = bench.engine.stats().reads
        completions = bench.engine.submit(batch, on_whole=on_whole)
        returned.set()
        n_bad = [i for i, done in enumerate(completions) if done.error is not None]
        assert told == sorted(set(told))
        assert told == [] or told[-1] <= n_bad[0]
        assert bench.engine.stats().reads - n_before == len(batch) - len(n_bad)
        return told

    def test_what_is_told_to_be_whole_is_whole_and_comes_in_order(self, bench, file, content):
        sizes = np.random.default_rng(5).choice([1, 2, 16, 64], 80).tolist()
        batch = [
            Request("read", file, 5 * i * PAGE_BYTES, aligned_buffer(n * PAGE_BYTES))
            for i, n in enumerate(sizes)
        ]
        batch[60] = Request("read", file, N_BYTES, aligned_buffer(PAGE_BYTES))
        # Who tells from a thread of its own may be done before that has begun.
        for _ in range(50):
            told = self.tell_of(bench, batch, content)
            if told or not self.tells:
                break
        assert bool(told) is self.tells

    def test_nobody_is_told_of_a_batch_that_is_too_late(self, bench, file):
        told: list[int] = []
        batch = [Request("read", file, 0, aligned_buffer(PAGE_BYTES)) for _ in range(40)]
        completions = bench.engine.submit(batch, deadline_s=0, on_whole=told.append)
        assert all(isinstance(done.error, DeadlineError) for done in completions)
        assert max(told, default=0) == 0

    def test_one_request_fills_many_buffers(self, bench, file, content):
        whole = aligned_buffer(8 * PAGE_BYTES)
        first, second, third = whole[:PAGE_BYTES], whole[PAGE_BYTES * 3 :], whole[PAGE_BYTES:12288]
        batch = [Request("read", file, 7 * PAGE_BYTES, first, (second, third))]
        check_all(bench.engine.submit(batch))
        found = bytes(first) + bytes(second) + bytes(third)
        assert found == content[7 * PAGE_BYTES : 15 * PAGE_BYTES]
        assert bench.engine.stats().read_bytes == 8 * PAGE_BYTES

    def test_one_request_writes_many_buffers(self, bench, file, content):
        pages = split(aligned_buffer(3 * PAGE_BYTES), PAGE_BYTES)
        for mark, page in enumerate(pages):
            page[:] = bytes([mark + 1]) * PAGE_BYTES
        check_all(
            bench.engine.submit([Request("write", file, 4 * PAGE_BYTES, pages[2], (pages[0],))])
        )
        expected = bytearray(content)
        expected[4 * PAGE_BYTES : 6 * PAGE_BYTES] = bytes(pages[2]) + bytes(pages[0])
        assert bench.content("blocks") == expected

    def test_a_batch_far_beyond_the_depth_is_whole(self, bench, file, content):
        buffer = aligned_buffer(1000 * PAGE_BYTES)
        pages = np.random.default_rng(3).integers(0, N_PAGES, 1000)
        batch = [
            Request("read", file, int(page) * PAGE_BYTES, block)
            for page, block in zip(pages, split(buffer, PAGE_BYTES), strict=True)
        ]
        check_all(bench.engine.submit(batch))
        assert bench.engine.stats().reads == 1000
        expected = np.frombuffer(content, np.uint8).reshape(N_PAGES, PAGE_BYTES)[pages]
        np.testing.assert_array_equal(
            np.frombuffer(buffer, np.uint8).reshape(1000, PAGE_BYTES), expected
        )

    def test_a_batch_of_nothing_is_nothing(self, bench, file):
        assert bench.engine.submit([]) == []
        assert bench.engine.stats().submitted == 0

    def test_several_files_are_told_apart(self, bench, content):
        names = ["a", "b", "c"]
        files = [
            bench.engine.open(bench.make(name, bytes([i]) * N_BYTES))
            for i, name in enumerate(names)
        ]
        assert len(set(files)) == 3
        buffers = [aligned_buffer(PAGE_BYTES) for _ in files]
        batch = [
            Request("read", file, PAGE_BYTES, buffer)
            for file, buffer in zip(files, buffers, strict=True)
        ]
        check_all(bench.engine.submit(batch))
        assert [buffer[17] for buffer in buffers] == [0, 1, 2]

    def test_written_bytes_are_there_for_the_next_reader_after_a_sync(self, bench, file):
        block = aligned_buffer(PAGE_BYTES)
        block[:] = b"w" * PAGE_BYTES
        check_all(bench.engine.submit([Request("write", file, 0, block)]))
        check_all(bench.engine.submit([Request("sync", file)]))
        assert bench.engine.stats().syncs == 1
        again = aligned_buffer(PAGE_BYTES)
        other = bench.engine.open(bench.folder / "blocks", writable=False)
        check_all(bench.engine.submit([Request("read", other, 0, again)]))
        assert again == block

    # Failing whole

    def test_what_lies_beyond_the_end_of_the_file_fails_whole_and_alone(self, bench):
        path = bench.make("odd", b"o" * (PAGE_BYTES + 100))
        file = bench.engine.open(path)
        inside, across, beyond = bench.engine.submit(
            [Request("read", file, i * PAGE_BYTES, aligned_buffer(PAGE_BYTES)) for i in range(3)]
        )
        assert inside.error is None
        assert inside.request.buffer == b"o" * PAGE_BYTES
        assert isinstance(across.error, ShortTransferError)
        assert "100 bytes" in str(across.error)
        assert isinstance(beyond.error, ShortTransferError)
        assert "odd: read of 4096 bytes at 8192" in str(beyond.error)

    @pytest.mark.parametrize(("offset", "n_bytes"), [(512, PAGE_BYTES), (0, 512), (4096, 4097)])
    @pytest.mark.parametrize("op", ["read", "write"])
    def test_requests_off_the_grid_are_refused_where_there_is_one(
        self, bench, file, content, op, offset, n_bytes
    ):
        buffer = aligned_buffer(2 * PAGE_BYTES)[:n_bytes]
        (done,) = bench.engine.submit([Request(op, file, offset, buffer)])
        if self.direct:
            assert isinstance(done.error, MisalignedError)
            assert "4096" in str(done.error)
            assert bench.content("blocks") == content
        else:
            assert done.error is None

    def test_a_buffer_off_the_grid_is_named_as_the_cause(self, bench, file):
        block = aligned_buffer(2 * PAGE_BYTES)[1 : PAGE_BYTES + 1]
        (done,) = bench.engine.submit([Request("read", file, 0, block)])
        if self.direct:
            assert isinstance(done.error, MisalignedError)
            assert "page-aligned" in str(done.error)
        else:
            assert done.error is None

    def test_bad_requests_fail_beside_good_ones(self, bench, file, content):
        good = aligned_buffer(PAGE_BYTES)
        batch = [
            Request("read", file, 0, memoryview(bytes(PAGE_BYTES))),
            Request("read", file, -PAGE_BYTES, aligned_buffer(PAGE_BYTES)),
            Request("read", 12345, 0, aligned_buffer(PAGE_BYTES)),
            Request("erase", file, 0, aligned_buffer(PAGE_BYTES)),  # type: ignore[arg-type]
            Request("read", file, PAGE_BYTES, good),
        ]
        read_only, negative, unknown, strange, last = bench.engine.submit(batch)
        assert "writable buffer" in str(read_only.error)
        assert "negative" in str(negative.error)
        assert "12345 is not open" in str(unknown.error)
        assert "'erase'" in str(strange.error)
        assert last.error is None
        assert good == content[PAGE_BYTES : 2 * PAGE_BYTES]

    def test_a_file_opened_for_reading_is_not_written(self, bench, file, content):
        other = bench.engine.open(bench.folder / "blocks", writable=False)
        (done,) = bench.engine.submit([Request("write", other, 0, aligned_buffer(PAGE_BYTES))])
        assert "reading only" in str(done.error)
        assert bench.content("blocks") == content

    def test_a_deadline_of_nothing_lets_nothing_happen(self, bench, file, content):
        batch = [
            Request("write", file, i * PAGE_BYTES, aligned_buffer(PAGE_BYTES)) for i in range(50)
        ]
        completions = bench.engine.submit(batch, deadline_s=0)
        assert all(isinstance(done.error, DeadlineError) for done in completions)
        assert bench.content("blocks") == content
        stats = bench.engine.stats()
        assert (stats.deadlines_missed, stats.errors, stats.pinned_buffers) == (50, 50, 0)
        check_all(bench.engine.submit(batch))
        assert bench.content("blocks")[: 50 * PAGE_BYTES] == bytes(50 * PAGE_BYTES)

    def test_counters_add_up(self, bench, file):
        block = aligned_buffer(PAGE_BYTES)
        batch = [
            Request("read", file, 0, block),
            Request("write", file, PAGE_BYTES, aligned_buffer(2 * PAGE_BYTES)),
            Request("read", file, N_BYTES, aligned_buffer(PAGE_BYTES)),
            Request("read", 999, 0, block),
            Request("sync", file),
        ]
        bench.engine.submit(batch)
        stats = bench.engine.stats()
        assert (stats.reads, stats.writes, stats.syncs, stats.errors) == (1, 1, 1, 2)
        assert stats.submitted == 5
        assert (stats.read_bytes, stats.written_bytes) == (PAGE_BYTES, 2 * PAGE_BYTES)
        assert (stats.deadlines_missed, stats.stale_completions) == (0, 0)
        assert stats.pinned_buffers == 0
        assert stats.direct is self.direct
        assert stats.fallback_reason == ""
        assert stats.kind

    # Several threads

    def test_many_threads_submit_at_once(self, bench, file, content):
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                self._read_and_write(bench, file, content, number)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        stats = bench.engine.stats()
        assert (stats.reads, stats.writes, stats.errors) == (8 * 10 * 8, 8 * 10 * 4, 0)
        assert stats.submitted == stats.reads + stats.writes

    def _read_and_write(self, bench: Bench, file: int, content: bytes, number: int) -> None:
        """Write a region of its own and read the half that nobody writes, ten times."""
        rng = np.random.default_rng([4, number])
        quiet = N_PAGES // 2
        for turn in range(10):
            reads = [
                Request(
                    "read",
                    file,
                    int(rng.integers(quiet, N_PAGES)) * PAGE_BYTES,
                    aligned_buffer(PAGE_BYTES),
                )
                for _ in range(8)
            ]
            writes = []
            for i in range(4):
                block = aligned_buffer(PAGE_BYTES)
                block[:] = bytes([number * 16 + turn]) * PAGE_BYTES
                writes.append(Request("write", file, (number * 4 + i) * PAGE_BYTES, block))
            check_all(bench.engine.submit([*reads, *writes]))
            for request in reads:
                assert request.buffer == content[request.offset : request.offset + PAGE_BYTES]
        mine = bench.content("blocks")[number * 4 * PAGE_BYTES : (number + 1) * 4 * PAGE_BYTES]
        assert mine == bytes([number * 16 + 9]) * len(mine)

    # Life and death

    def test_a_forgotten_file_is_gone_and_its_handle_never_comes_back(self, bench, file, content):
        bench.engine.forget(file)
        (done,) = bench.engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))])
        assert f"file {file} is not open" in str(done.error)
        with pytest.raises(StorageError, match="not open"):
            bench.engine.forget(file)
        later = [bench.engine.open(bench.folder / "blocks") for _ in range(3)]
        assert file not in later

    def test_a_missing_file_is_named(self, bench):
        with pytest.raises(StorageError, match=r"nowhere: cannot be opened: No such file"):
            bench.engine.open(bench.folder / "nowhere")

    def test_a_closed_engine_says_so(self, bench, file):
        bench.engine.close()
        bench.engine.close()
        with pytest.raises(StorageError, match="closed"):
            bench.engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))])
        with pytest.raises(StorageError, match="closed"):
            bench.engine.open(bench.folder / "blocks")
        assert bench.engine.stats().submitted == 0

    def test_counters_outlive_the_files(self, bench, file):
        check_all(bench.engine.submit([Request("read", file, 0, aligned_buffer(PAGE_BYTES))]))
        bench.engine.forget(file)
        bench.engine.close()
        assert bench.engine.stats().reads == 1


class RealEngineContract(EngineContract):
    """What an engine on real files must do besides."""

    def test_links_folders_and_pipes_are_no_files(self, bench, file):
        (bench.folder / "link").symlink_to("blocks")
        with pytest.raises(StorageError, match="link: cannot be opened: it is a symbolic link"):
            bench.engine.open(bench.folder / "link")
        os.mkfifo(bench.folder / "pipe")
        for writable in (True, False):
            with pytest.raises(StorageError, match="pipe: cannot be opened: it is no regular file"):
                bench.engine.open(bench.folder / "pipe", writable=writable)
        with pytest.raises(StorageError, match="cannot be opened"):
            bench.engine.open(bench.folder)

    def test_descriptors_are_given_back(self, bench, file):
        before = len(os.listdir("/dev/fd"))
        for _ in range(20):
            bench.engine.forget(bench.engine.open(bench.folder / "blocks"))
        assert len(os.listdir("/dev/fd")) == before

    def test_odirect_really_on(self, bench, file):
        """LMCache #1522: the option was set, and the page cache used all the same."""
        proof = bench.engine.direct_proof(file)
        assert proof.flag in (self.direct, None)
        assert bench.engine.is_direct(file) is self.direct
