"""An engine above a disk that remembers its batches, can be held at the door, has bad pages."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workbench.tiering.async_io.buffers import aligned_buffer, split
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    Completion,
    Engine,
    EngineStats,
    OnWhole,
    Request,
    StorageError,
)
from workbench.tiering.async_io.sim_disk import SimDisk


class Watched:
    """Passes batches on; reads that touch a bad page fail; batches may be held at the door."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.batches: list[list[Request]] = []
        self.bad_pages: set[int] = set()
        self.door = threading.Event()
        self.door.set()
        self.arrived = threading.Semaphore(0)

    def open(self, path: Path, *, writable: bool = True) -> int:
        return self.engine.open(path, writable=writable)

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = 10.0,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        self.batches.append(list(batch))
        self.arrived.release()
        if not self.door.wait(20):
            raise AssertionError("nobody opened the door")
        done = self.engine.submit(batch, deadline_s)
        return [self._spoilt(one) if self._is_bad(one.request) else one for one in done]

    @property
    def requests(self) -> list[Request]:
        """Return all requests of all batches."""
        return list(itertools.chain.from_iterable(self.batches))

    def forget(self, file: int) -> None:
        self.engine.forget(file)

    def stats(self) -> EngineStats:
        return self.engine.stats()

    def close(self) -> None:
        self.engine.close()

    def _is_bad(self, request: Request) -> bool:
        pages = range(request.offset // PAGE_BYTES, -(-request_end(request) // PAGE_BYTES))
        return request.op == "read" and not self.bad_pages.isdisjoint(pages)

    @staticmethod
    def _spoilt(completion: Completion) -> Completion:
        return completion._replace(error=StorageError("a bad page"))


def request_end(request: Request) -> int:
    return request.offset + request.n_bytes


def disk_with(n_pages: int, seed: int = 0, name: str = "f") -> tuple[SimDisk, bytes]:
    """Return a disk with one file of random pages, and the bytes of that file."""
    disk = SimDisk()
    disk.create(name, n_pages * PAGE_BYTES)
    content = np.random.default_rng(seed).bytes(n_pages * PAGE_BYTES)
    disk.rot(name, 0, content)
    disk.sync()
    return disk, content


def separate_pages(n_pages: int) -> list[memoryview]:
    """Return pages of which no two touch each other in memory."""
    return split(aligned_buffer(2 * n_pages * PAGE_BYTES), PAGE_BYTES)[::2]


def read(file: int, page: int, buffer: memoryview) -> Request:
    return Request("read", file, page * PAGE_BYTES, buffer)


def write(file: int, page: int, mark: int, n_pages: int = 1) -> Request:
    buffer = aligned_buffer(n_pages * PAGE_BYTES)
    buffer[:] = bytes([mark]) * buffer.nbytes
    return Request("write", file, page * PAGE_BYTES, buffer)
