"""The sums that the docstring promises hold after reads of every kind."""

from __future__ import annotations

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import Request, check_all
from workbench.tiering.async_io.read_ahead import ReadAhead
from workbench.tiering.async_io.scheduler import Scheduler
from workbench.tiering.async_io.synchronous import SynchronousEngine

PAGE = 4096


def test_reads_and_chunks_add_up_and_files_give_their_chunks_back(disk_folder) -> None:
    path = disk_folder / "blocks"
    path.write_bytes(bytes(256 * PAGE))
    ahead = ReadAhead(chunk_bytes=8 * PAGE, cache_bytes=32 * PAGE, measure=False)
    with (
        SynchronousEngine() as engine,
        Scheduler(engine, depth=4, read_ahead=ahead) as scheduler,
    ):
        file = scheduler.open(path)
        sequential, scattered = range(64), (200, 7, 133, 90)
        for page in (*sequential, *scattered):
            batch = [Request("read", file, page * PAGE, aligned_buffer(PAGE))]
            check_all(scheduler.submit(batch))
        found = ahead.stats()
        assert found.reads == found.hits + found.partial + found.misses == 68
        assert found.hits > 0
        assert found.misses >= len(scattered)
        assert found.chunks == found.used + found.wasted + found.failed + found.held
        scheduler.forget(file)
        assert ahead.stats().held == 0
