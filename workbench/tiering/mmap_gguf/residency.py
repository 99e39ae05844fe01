"""Ask which of a model's bytes are in memory, have more read ahead, and let others go.

Follows: mincore(2), madvise(2) WILLNEED and DONTNEED, posix_fadvise(2) DONTNEED.
Leaves out: what to read and when (mapped_layers.py). Where a system lacks one of the calls (macOS
has no posix_fadvise), that step does nothing: a hint is no promise.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable

from workbench.tiering.async_io.residency import resident_pages
from workbench.tiering.mmap_gguf.layers import Span
from workbench.tiering.mmap_gguf.model_map import ModelMap

# Linux reads no more at one advice than the device's read-ahead, 128 KiB unless set otherwise, and
# forgets the rest.
_PIECE_BYTES = 128 << 10
# Pages still queued on another CPU survive the first advice; the second one finds them.
_ATTEMPTS = 2


def resident_bytes(model: ModelMap, spans: Iterable[Span]) -> int:
    """Return how many bytes of the spans' pages are in memory, whoever had them read.

    Raises
    ------
    StorageError   if mincore fails

    Cost    about 0.1 us a page; touches none. Linux tells the truth to the file's owner only.
    """
    return sum(_resident_bytes(model, span) for span in spans)


def _resident_bytes(model: ModelMap, span: Span) -> int:
    pages = span.widened()
    start = model.bytes_of(span.part).ctypes.data + pages.start
    return int(resident_pages(start, pages.n_bytes).sum()) * mmap.PAGESIZE


def will_need(model: ModelMap, spans: Iterable[Span]) -> None:
    """Have the spans' pages read, without waiting for their bytes.

    Cost    0.3 ms a MiB to find memory and submit the reads; other threads run meanwhile. Linux
            reads in single pages here, at 0.6 GB/s where direct reads reach 2.3.
    """
    for span in spans:
        pages = span.widened()
        for start in range(pages.start, pages.stop, _PIECE_BYTES):
            _will_need(model, span.part, start, min(_PIECE_BYTES, pages.stop - start))


def _will_need(model: ModelMap, part: int, start: int, n_bytes: int) -> None:
    # The same to Linux as the advice on a mapping, but Python lets other threads run meanwhile.
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(model.files[part].fd, start, n_bytes, os.POSIX_FADV_WILLNEED)
    elif hasattr(mmap, "MADV_WILLNEED"):
        model.mapping(part).madvise(mmap.MADV_WILLNEED, start, n_bytes)


def wait_for(model: ModelMap, spans: Iterable[Span]) -> None:
    """Return when the spans' pages are in memory; reads what was not asked for.

    By reading, not by touching: if the file was cut meanwhile, nothing happens.
    """
    for span in spans:
        for start in range(span.start, span.stop, _PIECE_BYTES):
            os.pread(model.files[span.part].fd, min(_PIECE_BYTES, span.stop - start), start)


def release(model: ModelMap, spans: Iterable[Span]) -> None:
    """Let go of the pages that hold nothing but the spans' bytes, from the page cache too.

    Views of them stay valid: what is touched again is read again. Pages that another process maps
    stay, and so do those of a file that was just written: the kernel keeps them in larger pieces,
    of which it drops none that reach beyond a span. `release_all` drops these too.
    """
    for span in spans:
        pages = span.narrowed()
        if pages.n_bytes:
            _release(model, span.part, pages.start, pages.n_bytes)


def release_all(model: ModelMap) -> None:
    """Let go of all of a model's pages, however the kernel keeps them."""
    for part, file in enumerate(model.files):
        _release(model, part, 0, file.file_bytes)


def _release(model: ModelMap, part: int, start: int, n_bytes: int) -> None:
    if hasattr(mmap, "MADV_DONTNEED"):
        model.mapping(part).madvise(mmap.MADV_DONTNEED, start, n_bytes)
    # A range is rounded to whole pages inside it; to the file's end there is a length of 0.
    length = 0 if start + n_bytes >= model.files[part].file_bytes else n_bytes
    for _ in range(_ATTEMPTS if hasattr(os, "posix_fadvise") else 0):
        os.posix_fadvise(model.files[part].fd, start, length, os.POSIX_FADV_DONTNEED)


def read_only_what_is_touched(model: ModelMap) -> None:
    """Switch the kernel's own read-ahead off, which would bring back what was released."""
    for part, file in enumerate(model.files):
        if hasattr(mmap, "MADV_RANDOM"):
            model.mapping(part).madvise(mmap.MADV_RANDOM)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_RANDOM)
