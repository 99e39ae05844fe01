"""Measure what one page fault costs here, so that a count of them can be held against the time.

Follows: first touch of fresh memory, as workbench/tiering/memory.py pays it, one small
page a fault.
Leaves out: faults that read the disk, whose cost is the disk's, and huge pages, which cost more
each and are far fewer.
"""

from __future__ import annotations

import mmap
import resource
import time

import numpy as np

_N_BYTES = 32 << 20
_ROUNDS = 3


def cost_us() -> float:
    """Return the microseconds of one minor fault, the quickest of three rounds.

    Cost    about 50 ms and 32 MiB.
    """
    return min(_round() for _ in range(_ROUNDS))


def _round() -> float:
    region = mmap.mmap(-1, _N_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        region.madvise(mmap.MADV_NOHUGEPAGE)
    pages = np.frombuffer(region, np.uint8)[:: mmap.PAGESIZE]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    began = time.perf_counter()
    pages[:] = 0
    took_s = time.perf_counter() - began
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return took_s / max(faults, 1) * 1e6
