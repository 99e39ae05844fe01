"""Let a few threads walk through the same steps of a computation, meeting at barriers.

Follows: a barrier of one counter a thread, each on a cache line of its own: nobody writes where
another writes, so no atomic addition is needed; a meeting costs about as much as a cache line's way
from core to core.
Leaves out: what the steps are, and sleeping: threads that have nothing to do for long must leave.

Waiting threads pause, and from the 2,000th look on offer their processor to others each time: with
more threads than free processors a meeting is late, but it happens.
"""

from __future__ import annotations

import os

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from kernels.atomics import load_acquire, store_release
from kernels.simd import _X86, LINE_BYTES, _with_twin

_I32 = ir.IntType(32)
_PATIENCE = 2000  # looks before a waiting thread yields: some 20 us
_HALF_RANGE = np.uint32(1 << 31)


def _pause_twin() -> None:
    """Do nothing: a pause changes no result."""


@_with_twin(_pause_twin)
def pause(typing_context):
    """Tell the processor that this thread is waiting in a loop."""

    def generate(context, builder, signature, arguments):
        if builder.module.triple.split("-")[0] in _X86:
            nothing = ir.FunctionType(ir.VoidType(), [])
            function = cgutils.get_or_insert_function(
                builder.module, nothing, "llvm.x86.sse2.pause"
            )
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


@_with_twin(lambda: int(os.sched_yield() or 0))
def offer_processor(typing_context):
    """Let another thread run, if one waits for this processor; POSIX's sched_yield."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(_I32, [])
        function = cgutils.get_or_insert_function(builder.module, kind, "sched_yield")
        return builder.call(function, [])

    return types.int32(), generate


def lines(n_threads: int) -> np.ndarray:
    """Return the memory of a team's counters, uint32[...]; `meet` takes its `first_line`."""
    return np.zeros((n_threads + 1) * LINE_BYTES // 4, np.uint32)


def first_line(memory: np.ndarray) -> int:
    """Return the address of the first whole cache line in `lines`."""
    return -(-int(memory.ctypes.data) // LINE_BYTES) * LINE_BYTES


@njit(cache=True, nogil=True)
def meet(counters, thread, n_threads):
    """Return when every thread of the team has come here as often as this one.

    Parameters
    ----------
    counters : int    address of the first counter
    thread : int      this thread's number, 0..n_threads - 1
    """
    if n_threads == 1:
        return
    own = counters + thread * LINE_BYTES
    count = np.uint32(load_acquire(own) + np.uint32(1))
    store_release(own, count)
    for other in range(n_threads):
        looks = 0
        # Counters wrap; a difference in the upper half of the range is a negative one.
        while np.uint32(load_acquire(counters + other * LINE_BYTES) - count) >= _HALF_RANGE:
            looks += 1
            if looks < _PATIENCE:
                pause()
            else:
                offer_processor()


@njit(cache=True, nogil=True)
def share(n_items, thread, n_threads):
    """Return the first and last item of a thread's even share of a range."""
    return n_items * thread // n_threads, n_items * (thread + 1) // n_threads
