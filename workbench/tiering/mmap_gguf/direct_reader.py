"""Read groups of a model's tensors past the page cache, many requests at a time.

Follows: O_DIRECT's rule that offset, length and memory are whole pages: a group is read with the
pages around it. What stands behind the file's last whole page comes through the page cache.
Leaves out: which groups and when (direct_layers.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    PAGE_BYTES,
    EngineStats,
    Request,
    check_all,
)
from workbench.tiering.async_io.open_engine import Kind, open_engine
from workbench.tiering.closing import Closing
from workbench.tiering.mmap_gguf.layers import Group, Span
from workbench.tiering.mmap_gguf.model_map import ModelMap
from workbench.tiering.mmap_gguf.tensors import Tensor

# The largest block of the storage sweep; many of them keep the device's queue full.
_REQUEST_BYTES = 1 << 20
# A disk slower than this counts as hung.
_SLOWEST_BYTES_S = 20e6


class DirectReader(Closing):
    """Reads any tensors of one model into the caller's memory; safe to use from several threads."""

    def __init__(self, model: ModelMap, *, kind: Kind = "auto", depth: int = 32) -> None:
        """Open the model's files once more, for direct reads.

        Raises
        ------
        GGUFError      if another file lies where one of the model's was opened
        StorageError   if a file cannot be opened, or there is no such engine
        """
        self._model = model
        self._engine = open_engine(kind, depth=depth)
        try:
            self._handles = [self._open(part) for part in range(len(model.files))]
        except BaseException:
            self._engine.close()
            raise

    def read(self, group: Group, memory: NDArray[np.uint8]) -> dict[str, Tensor]:
        """Read a group and return its tensors by name, as read-only views of the memory.

        Parameters
        ----------
        group : Group
        memory : uint8[n]   page-aligned, at least ``group.page_bytes``; overwritten

        Raises
        ------
        GGUFError      if a file changed since the model was opened
        StorageError   if bytes cannot be read; the memory must then not be used for anything else

        Cost    the disk's time.
        """
        batch: list[Request] = []
        tensors: dict[str, Tensor] = {}
        start = 0
        for span in group.spans:
            self._model.files[span.part].check_unchanged()
            pages = span.widened()
            place = memory[start : start + pages.n_bytes]
            batch += self._requests(pages, place)
            for info in group.tensors:
                if info.part == span.part and span.start <= info.offset < span.stop:
                    at = info.offset - pages.start
                    packed = place[at : at + info.n_bytes]
                    # As views of a mapped file are, so that kernels are compiled for one kind.
                    packed.flags.writeable = False
                    tensors[info.name] = Tensor(info, packed)
            start += pages.n_bytes
        n_bytes = sum(request.n_bytes for request in batch)
        deadline_s = max(DEFAULT_DEADLINE_S, n_bytes / _SLOWEST_BYTES_S)
        check_all(self._engine.submit(batch, deadline_s) if batch else [])
        return tensors

    def stats(self) -> EngineStats:
        """Return the engine's counters; ``direct`` says whether the page cache is bypassed."""
        return self._engine.stats()

    def close(self) -> None:
        """Close the files; closing twice is harmless."""
        self._engine.close()

    def _requests(self, pages: Span, place: NDArray[np.uint8]) -> Iterator[Request]:
        """Yield the requests for whole pages; fill what lies behind the last of them here."""
        file = self._model.files[pages.part]
        whole_stop = min(pages.stop, file.file_bytes // PAGE_BYTES * PAGE_BYTES)
        for offset in range(pages.start, whole_stop, _REQUEST_BYTES):
            stop = min(offset + _REQUEST_BYTES, whole_stop)
            buffer = place[offset - pages.start : stop - pages.start].data
            yield Request("read", self._handles[pages.part], offset, buffer)
        tail_start = max(whole_stop, pages.start)
        n_tail = min(pages.stop, file.file_bytes) - tail_start
        if n_tail > 0:
            tail = np.frombuffer(file.read(tail_start, n_tail), np.uint8)
            place[tail_start - pages.start :][:n_tail] = tail

    def _open(self, part: int) -> int:
        file = self._model.files[part]
        handle = self._engine.open(file.path.resolve(), writable=False)
        if not os.path.samestat(os.fstat(self._engine.fileno(handle)), os.fstat(file.fd)):
            raise self._model.header.refuse(
                f"{file.path.name} is another file than when the model was opened; open it again", 0
            )
        return handle
