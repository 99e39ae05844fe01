"""See several buffers that touch each other in memory as one.

Follows: slices of one allocation keep the object they were cut from.
Leaves out: buffers of different allocations, even when they happen to touch.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.tiering.async_io.buffers import address


def joined(buffers: Sequence[memoryview]) -> memoryview | None:
    """Return one view over buffers that follow each other in memory, or None if they do not.

    Parameters
    ----------
    buffers : sequence of memoryview   uint8, at least one, in the order of their bytes

    Returns
    -------
    uint8[sum of lengths], read-only if they are

    Cost    0.4 us a buffer and 2 us; read-only ones 2 us each.
    """
    first = buffers[0]
    owner, readonly = first.obj, first.readonly
    start = end = 0
    for buffer in buffers:
        if buffer.obj is not owner or buffer.readonly != readonly or not buffer.nbytes:
            return None
        at = address(buffer)
        if end and at != end:
            return None
        start = start or at
        end = at + buffer.nbytes
    return _view(first, start, end)


def _view(first: memoryview, start: int, end: int) -> memoryview | None:
    try:
        whole = memoryview(first.obj).cast("B")
    except (TypeError, ValueError):
        # The owner is no plain row of bytes.
        return None
    base = address(whole)
    view = whole[start - base : end - base]
    return view.toreadonly() if first.readonly else view
