"""Put requests in the order of the disk, and make one of those that lie next to each other.

Follows: vectored I/O (preadv, readv): the parts land in their own buffers, nothing is copied; a
small gap between two reads is read too, into memory that nobody looks at.
Leaves out: when to dispatch (scheduler.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import PAGE_BYTES, Request

# The kernel takes up to 1,024 buffers a call.
_MOST_BUFFERS = 512


@dataclass(frozen=True, slots=True)
class MergeLimits:
    """How far merging may go.

    Attributes
    ----------
    gap_bytes : int    reads this far apart at most become one; 0: only those that touch
    most_bytes : int   length of a merged request at most, gaps included
    """

    gap_bytes: int = 16 << 10
    most_bytes: int = 1 << 20


class Merged(NamedTuple):
    """One request for the device, and which of the batch it stands for."""

    request: Request
    members: tuple[int, ...]


def unmerged(batch: Sequence[Request], order: bool) -> list[Merged]:
    """Return every request by itself, in the order of the disk or as it came."""
    numbers = _by_place(batch) if order else range(len(batch))
    return [Merged(batch[number], (number,)) for number in numbers]


def merged(batch: Sequence[Request], limits: MergeLimits, gap: memoryview | None) -> list[Merged]:
    """Return as few requests as the limits allow, in the order of the disk.

    Requests that overlap stay apart: two writes to one place may come in either order, but whole.

    Parameters
    ----------
    gap : memoryview or None   where reads through gaps go, ``limits.gap_bytes`` long (`gap_buffer`)

    Cost    O(n log n), about 1 us a request.
    """
    groups: list[Merged] = []
    run: list[int] = []
    buffers: list[memoryview] = []
    end, run_bytes = 0, 0
    for number in _by_place(batch):
        request = batch[number]
        hole = request.offset - end
        if (
            run
            and _alike(batch[run[0]], request)
            and 0 <= hole <= (limits.gap_bytes if request.op == "read" else 0)
            and run_bytes + hole + request.n_bytes <= limits.most_bytes
            and len(buffers) + len(request.rest) + 2 <= _MOST_BUFFERS
        ):
            if hole and gap is not None:
                buffers.append(gap[:hole])
            elif hole:
                raise ValueError(f"a hole of {hole} bytes needs a buffer to be read into")
            run_bytes += hole
        else:
            if run:
                groups.append(_join(batch, run, buffers))
            run, buffers, run_bytes = [], [], 0
        run.append(number)
        buffers += (request.buffer, *request.rest)
        run_bytes += request.n_bytes
        end = request.offset + request.n_bytes
    if run:
        groups.append(_join(batch, run, buffers))
    return groups


def gap_buffer(limits: MergeLimits) -> memoryview | None:
    """Return the memory that gaps are read into; several reads may write to it at once."""
    if limits.gap_bytes < 1:
        return None
    return aligned_buffer(-(-limits.gap_bytes // PAGE_BYTES) * PAGE_BYTES)


def _by_place(batch: Sequence[Request]) -> list[int]:
    """Return the numbers of the requests by file, direction and offset."""
    return sorted(
        range(len(batch)),
        key=lambda number: (batch[number].file, batch[number].op, batch[number].offset),
    )


def _alike(one: Request, other: Request) -> bool:
    return one.file == other.file and one.op == other.op and one.op != "sync"


def _join(batch: Sequence[Request], run: list[int], buffers: list[memoryview]) -> Merged:
    first = batch[run[0]]
    if len(run) == 1:
        return Merged(first, (run[0],))
    joined = Request(first.op, first.file, first.offset, buffers[0], tuple(buffers[1:]))
    return Merged(joined, tuple(run))
