"""Say what every I/O engine answers: a batch of block requests in, one completion for each out.

Follows: io_uring's shape (submissions and completions, files known by number), so that engines can
be exchanged; a deadline on every batch, because a device can hang without failing.
Leaves out: order and priority of requests (scheduler.py), files' life on disk (folder.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from workbench.errors import WorkbenchError

Op = Literal["read", "write", "sync"]
OnWhole = Callable[[int], None]

# The unit of device I/O: offsets and lengths of direct requests are multiples of it.
PAGE_BYTES = 4096
DEFAULT_DEADLINE_S = 10.0
_NOTHING = memoryview(b"")


class StorageError(WorkbenchError):
    """A file or device did not do what was asked; the message names the file and the request."""


class ShortTransferError(StorageError):
    """The file ended, or the device stopped, before the whole block had moved."""


class MisalignedError(StorageError):
    """A direct request whose offset or length is no multiple of 4 KiB, or whose buffer is not."""


class DeadlineError(StorageError):
    """The device had not answered by the deadline; the buffer stays pinned until it does."""


class Request(NamedTuple):
    """One block to move, or one file to flush.

    Attributes
    ----------
    op : "read", "write", "sync"   the direction, seen from memory; sync makes earlier completed
                                   writes of the file durable and takes no buffer
    file : int                     handle that `Engine.open` gave
    offset : int                   byte position in the file, >= 0
    buffer : memoryview            uint8[n_bytes], writable for reads; moves whole or fails. The
                                   caller leaves it alone until the completion is there
    rest : tuple of memoryview     further buffers that follow ``buffer`` in the file, gathered or
                                   scattered by the same request (preadv/pwritev); mostly none
    """

    op: Op
    file: int
    offset: int = 0
    buffer: memoryview = _NOTHING
    rest: tuple[memoryview, ...] = ()

    @property
    def n_bytes(self) -> int:
        """Return how many bytes move, over all buffers."""
        n_bytes = self.buffer.nbytes
        return n_bytes + sum(buffer.nbytes for buffer in self.rest) if self.rest else n_bytes


class Completion(NamedTuple):
    """What became of one request; ``error`` is None when every byte moved."""

    request: Request
    took_ns: int
    error: StorageError | None


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters since the engine was opened: ``reads + writes + syncs + errors == submitted``.

    Attributes
    ----------
    kind : str                                  the engine in use, e.g. ``"io_uring"``
    submitted, reads, writes, syncs, errors     requests
    read_bytes, written_bytes : int             of requests that completed whole
    short_transfers : int                       calls that moved less than asked, and went on
    deadlines_missed : int                      among the errors
    stale_completions : int                     answers that came after their deadline, dropped
    pinned_buffers : int                        buffers that the device may still touch, now
    direct : bool                               True while every open file bypasses the page cache
    fallback_reason : str                       why io_uring or direct I/O was not had, else ""
    """

    kind: str
    submitted: int
    reads: int
    writes: int
    syncs: int
    errors: int
    read_bytes: int
    written_bytes: int
    short_transfers: int
    deadlines_missed: int
    stale_completions: int
    pinned_buffers: int
    direct: bool
    fallback_reason: str


class Engine(Protocol):
    """The one interface between the tiers and the device. Safe to call from several threads."""

    def open(self, path: Path, *, writable: bool = True) -> int:
        """Open an existing regular file and return its handle.

        Raises
        ------
        StorageError   if it cannot be opened
        """

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        """Move every block and return one completion a request, in the batch's order.

        Parameters
        ----------
        batch : sequence of Request
        deadline_s : float              seconds, from the call on
        on_whole : callable or None     told now and then, while later blocks are under way, how
                                        many from the first on have moved whole: in any thread, but
                                        one call at a time and none after `submit` has returned; an
                                        engine that cannot say so does not call it

        Never raises for a failed block; a closed engine, or one that was opened by another process
        (before a fork), raises StorageError. Requests of one batch may reach the device in any
        order and at once; a sync in a batch covers only writes that completed before the batch.
        Returns when all are done or ``deadline_s`` seconds have passed; what is not done by then
        completes with `DeadlineError`, and the engine keeps its buffer from being freed until the
        device answers: a late read still lands in it, so the caller must not use that buffer for
        anything else.
        """

    def forget(self, file: int) -> None:
        """Close one file; its handle is never given out again."""

    def stats(self) -> EngineStats:
        """Return the counters so far."""

    def close(self) -> None:
        """Give all files back, waiting at most the default deadline; closing twice is harmless."""


class Folder(Protocol):
    """What a store needs beside block I/O: the steps that decide what survives a crash.

    Names are plain file names. Nothing is durable before `sync` of the file (by the engine) and,
    for creation, replacing and removal, `sync` of the folder have returned.
    """

    def path(self, name: str) -> Path:
        """Return where a name lies, for `Engine.open`."""

    def create(self, name: str, n_bytes: int) -> None:
        """Make a file of ``n_bytes`` allocated zeros; StorageError if it exists or lacks space."""

    def names(self) -> list[str]:
        """Return the names of the regular files, sorted."""

    def size(self, name: str) -> int:
        """Return a file's length in bytes."""

    def replace(self, old: str, new: str) -> None:
        """Rename ``old`` over ``new`` atomically."""

    def remove(self, name: str) -> None:
        """Remove a file."""

    def sync(self) -> None:
        """Make creations, replacements and removals durable."""


def check_all(completions: Sequence[Completion]) -> None:
    """Raise the first error among the completions, for callers that need every block."""
    for completion in completions:
        if completion.error is not None:
            raise completion.error
