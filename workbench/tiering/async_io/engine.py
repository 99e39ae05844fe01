"""Say what every I/O engine answers: a batch of block requests in, one completion for each out.

Follows: io_uring's shape (submissions and completions), so that engines can be exchanged.
Leaves out: deadlines and queue depths; a synchronous engine has neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from workbench.errors import WorkbenchError

Op = Literal["read", "write"]

# The unit of device I/O: offsets and lengths of direct requests are multiples of it.
PAGE_BYTES = 4096


class StorageError(WorkbenchError):
    """A file or device did not do what was asked; the message names the file and the request."""


class ShortTransferError(StorageError):
    """The file ended, or the device stopped, before the whole block had moved."""


class MisalignedError(StorageError):
    """A direct request whose offset or length is no multiple of 4 KiB, or whose buffer is not."""


@dataclass(frozen=True, slots=True)
class Request:
    """One block to move.

    Attributes
    ----------
    op : "read" or "write"   the direction, seen from memory
    offset : int             byte position in the file, >= 0
    buffer : memoryview      uint8[n_bytes], writable for reads; moves whole or fails
    """

    op: Op
    offset: int
    buffer: memoryview


class Completion(NamedTuple):
    """What became of one request; ``error`` is None when every byte moved."""

    request: Request
    took_ns: int
    error: StorageError | None


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counters since the engine was opened: ``reads + writes + errors == submitted``.

    Attributes
    ----------
    submitted, reads, writes, errors : int   requests
    read_bytes, written_bytes : int          of requests that completed whole
    short_transfers : int                    calls that moved less than asked and were continued
    direct : bool                            True while the page cache is bypassed
    fallback_reason : str                    why direct I/O was asked for and not had, else ""
    """

    submitted: int
    reads: int
    writes: int
    errors: int
    read_bytes: int
    written_bytes: int
    short_transfers: int
    direct: bool
    fallback_reason: str


class Engine(Protocol):
    """The one interface between the tiers and the device."""

    def submit(self, batch: Sequence[Request]) -> list[Completion]:
        """Move every block and return one completion a request; never raises for a failed block."""

    def stats(self) -> EngineStats:
        """Return the counters so far."""

    def close(self) -> None:
        """Give the file back; closing twice is harmless."""


def check_all(completions: Sequence[Completion]) -> None:
    """Raise the first error among the completions, for callers that need every block."""
    for completion in completions:
        if completion.error is not None:
            raise completion.error
