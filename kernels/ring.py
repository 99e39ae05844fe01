"""Drive an io_uring: fill submissions, enter the kernel, match completions to jobs, in nogil loops.

Follows: io_uring(7): the tail is published with release, the other side's is read with acquire.
Leaves out: setting the ring up, files, buffers, what an error means (tiering/async_io/ring.py).

A *job* (ring_job.py) is one transfer; a *slot* is one request in flight. A completion
names its slot and that slot's generation, which is new for every submission, so that an answer that
comes late can never be taken for another request's.
"""

from __future__ import annotations

import errno

import numpy as np
from numba import njit

from kernels.atomics import (
    load_acquire,
    load_int32,
    load_int64,
    store_int64,
    store_release,
    system_call,
)
from kernels.ring_job import (
    ADDRESS,
    ASYNC_CANCEL,
    BUFFER,
    ENDED_NS,
    FSYNC,
    MOVED,
    N_BYTES,
    OFFSET,
    SKIP,
    STARTED_NS,
    WORD,
    advance_vector,
    count_whole,
    is_vectored,
)

IO_URING_ENTER = 426
_GETEVENTS, _EXT_ARG = 1, 8
_EXT_ARG_BYTES = 24

_DATASYNC = 1

# Columns of a slot.
GENERATION, JOB = range(2)
SLOT_COLUMNS = 2
# What a slot's JOB holds when it serves none: free, or given up while the device still has it.
FREE, ABANDONED = -1, -2
SLOT_BITS = 16
MOST_SLOTS = 1 << SLOT_BITS
# A cancellation's own completion carries this; no slot's generation ever gets there.
CANCELLED = 1 << 62

# Words of a ring: addresses of its shared memory, then state.
(
    FD,
    SQ_HEAD,
    SQ_TAIL,
    SQ_MASK,
    SQ_ENTRIES,
    CQ_HEAD,
    CQ_TAIL,
    CQ_MASK,
    CQ_ENTRIES,
    CLOCK,  # number of the system call clock_gettime
    SCRATCH,  # address of SCRATCH_WORDS words that the kernel may read and write
    N_FREE,  # free slots
    NEXT,  # first job not yet submitted
    DONE,  # jobs that are over
    ENTERS,  # calls of io_uring_enter
    SHORT,  # transfers that moved less than asked and went on
    STALE,  # answers for abandoned slots
    STRAY,  # answers that match no slot at all
    AGAIN,  # answers EAGAIN or EINTR since the last look
    WINDOW,  # jobs of a batch under way at once at most
    WRITE_CALL,  # number of the system call write
    EVENT,  # an eventfd that is written to when further jobs are whole, or -1
    WHOLE,  # jobs that are whole, from the first on to one that is not; kept if there is an EVENT
) = range(23)
RING_WORDS = 23
# Where in SCRATCH the count that another thread may read lies, and what is written to the eventfd.
_PUBLISHED_AT, _ONE_AT = 56, 64
SCRATCH_WORDS = 9

_CLOCK_MONOTONIC = 1
_SECOND_NS = 1_000_000_000
_PAUSE_NS = 1_000_000
# A single transfer is at most 2 GiB less a page; longer ones go on.
_MOST_BYTES = 1 << 30
_LOW_32 = 0xFFFFFFFF

_EINTR, _EAGAIN, _EBUSY, _EINVAL, _ETIME = (
    errno.EINTR,
    errno.EAGAIN,
    errno.EBUSY,
    errno.EINVAL,
    errno.ETIME,
)


@njit(cache=True, nogil=True)
def now_ns(ring):
    """Return the monotonic clock, ns, the one that deadlines are stated in."""
    system_call(ring[CLOCK], _CLOCK_MONOTONIC, ring[SCRATCH], 0, 0, 0, 0)
    return load_int64(ring[SCRATCH]) * _SECOND_NS + load_int64(ring[SCRATCH] + 8)


@njit(cache=True, nogil=True)
def enter(ring, n_wait, wait_ns):
    """Hand filled submissions to the kernel and wait for completions, at most ``wait_ns``.

    Returns
    -------
    submissions taken, or a negative error number (ETIME: nothing was submitted, time is up)
    """
    scratch = ring[SCRATCH]
    # The wait's time limit, then io_uring_getevents_arg: signal mask (none), its size, the limit.
    store_int64(scratch + 16, wait_ns // _SECOND_NS)
    store_int64(scratch + 24, wait_ns % _SECOND_NS)
    store_int64(scratch + 32, 0)
    store_int64(scratch + 40, 0)
    store_int64(scratch + 48, scratch + 16)
    head, tail = np.int64(load_acquire(ring[SQ_HEAD])), np.int64(load_acquire(ring[SQ_TAIL]))
    ring[ENTERS] += 1
    return system_call(
        IO_URING_ENTER,
        ring[FD],
        (tail - head) & _LOW_32,
        n_wait,
        _GETEVENTS | _EXT_ARG,
        scratch + 32,
        _EXT_ARG_BYTES,
    )


@njit(cache=True, nogil=True)
def push(ring, word, offset, address, length, user_data, buffer):
    """Fill the next submission and publish it; there is room for one per slot.

    Parameters
    ----------
    length : int   bytes or iovecs in the low 32 bits, the operation's own flags in the high ones
    """
    tail = np.int64(load_acquire(ring[SQ_TAIL]))
    entry = ring[SQ_ENTRIES] + (tail & ring[SQ_MASK]) * 64
    store_int64(entry, word)
    store_int64(entry + 8, offset)
    store_int64(entry + 16, address)
    store_int64(entry + 24, length)
    store_int64(entry + 32, user_data)
    store_int64(entry + 40, buffer)
    store_int64(entry + 48, 0)
    store_int64(entry + 56, 0)
    store_release(ring[SQ_TAIL], np.uint32((tail + 1) & _LOW_32))


@njit(cache=True, nogil=True)
def _push_job(ring, slots, jobs, slot, row):
    """Submit what is left of a job from a slot of a new generation."""
    slots[slot, GENERATION] += 1
    slots[slot, JOB] = row
    user_data = (slots[slot, GENERATION] << SLOT_BITS) | slot
    word, moved, buffer = jobs[row, WORD], jobs[row, MOVED], jobs[row, BUFFER]
    address, length = jobs[row, ADDRESS], min(jobs[row, N_BYTES] - moved, _MOST_BYTES)
    if is_vectored(word):
        length, buffer = buffer, 0
    elif word & 0xFF == FSYNC:
        length = _DATASYNC << 32
    else:
        address += moved
    push(ring, word, jobs[row, OFFSET] + moved, address, length, user_data, buffer)


@njit(cache=True, nogil=True)
def _finish(ring, slots, free, jobs, slot, row, now):
    jobs[row, ENDED_NS] = now
    ring[DONE] += 1
    slots[slot, JOB] = FREE
    free[ring[N_FREE]] = slot
    ring[N_FREE] += 1


@njit(cache=True, nogil=True)
def _take(ring, slots, free, jobs, user_data, result, now):
    """Match one completion to its slot, and end or continue that slot's job."""
    slot, generation = user_data & (MOST_SLOTS - 1), user_data >> SLOT_BITS
    if user_data == CANCELLED:
        return
    if slot >= slots.shape[0] or slots[slot, GENERATION] != generation or slots[slot, JOB] == FREE:
        ring[STRAY] += 1
        return
    row = slots[slot, JOB]
    if row == ABANDONED:
        ring[STALE] += 1
        slots[slot, JOB] = FREE
        free[ring[N_FREE]] = slot
        ring[N_FREE] += 1
        return
    if result == -_EAGAIN or result == -_EINTR:
        ring[AGAIN] += 1
        _push_job(ring, slots, jobs, slot, row)
        return
    if result < 0:
        # A direct transfer that ended off the grid cannot go on from there: it was short.
        if result != -_EINVAL or jobs[row, MOVED] == 0:
            jobs[row, MOVED] = result
        _finish(ring, slots, free, jobs, slot, row, now)
        return
    asked = min(jobs[row, N_BYTES] - jobs[row, MOVED], _MOST_BYTES)
    jobs[row, MOVED] += result
    if result > 0 and jobs[row, MOVED] < jobs[row, N_BYTES]:
        if result < asked:
            ring[SHORT] += 1
        if is_vectored(jobs[row, WORD]):
            advance_vector(jobs, row, result)
        _push_job(ring, slots, jobs, slot, row)
        return
    _finish(ring, slots, free, jobs, slot, row, now)


@njit(cache=True, nogil=True)
def _n_waiting(ring):
    """Return how many completions are there to be taken."""
    head, tail = np.int64(load_acquire(ring[CQ_HEAD])), np.int64(load_acquire(ring[CQ_TAIL]))
    return (tail - head) & _LOW_32


@njit(cache=True, nogil=True)
def reap(ring, slots, free, jobs, now):
    """Take every completion that is there, without waiting, and return how many that were."""
    head, n_taken = np.int64(load_acquire(ring[CQ_HEAD])), _n_waiting(ring)
    for _ in range(n_taken):
        entry = ring[CQ_ENTRIES] + (head & ring[CQ_MASK]) * 16
        user_data, result = load_int64(entry), np.int64(load_int32(entry + 8))
        head = (head + 1) & _LOW_32
        # Given back one by one: what continues a job may make the kernel need the room.
        store_release(ring[CQ_HEAD], np.uint32(head))
        _take(ring, slots, free, jobs, user_data, result, now)
    return n_taken


# Who calls this keeps the GIL: whoever got it in between would keep the device waiting.
@njit(cache=True)
def start_counting(ring, event):
    """Count whole jobs from 0 on and write to an eventfd whenever there are more; -1: do not."""
    ring[EVENT], ring[WHOLE] = event, 0
    store_release(ring[SCRATCH] + _PUBLISHED_AT, np.uint32(0))


@njit(cache=True)
def published(ring):
    """Return how many jobs from the first on are whole, in any thread: their bytes are there."""
    return np.int64(load_acquire(ring[SCRATCH] + _PUBLISHED_AT))


@njit(cache=True, nogil=True)
def _publish(ring, jobs, n_jobs):
    n_more = count_whole(jobs, ring[WHOLE], n_jobs)
    if n_more > 0:
        ring[WHOLE] += n_more
        store_release(ring[SCRATCH] + _PUBLISHED_AT, np.uint32(ring[WHOLE]))
        store_int64(ring[SCRATCH] + _ONE_AT, 1)
        system_call(ring[WRITE_CALL], ring[EVENT], ring[SCRATCH] + _ONE_AT, 8, 0, 0, 0)


@njit(cache=True, nogil=True)
def _is_full(ring):
    return ring[N_FREE] == 0 or ring[NEXT] - ring[DONE] >= ring[WINDOW]


@njit(cache=True, nogil=True)
def _fill(ring, slots, free, jobs, n_jobs, step, now):
    """Submit up to ``step`` jobs, unless they, the window or the free slots run out before."""
    while step > 0 and ring[NEXT] < n_jobs and not _is_full(ring):
        row = ring[NEXT]
        ring[NEXT] += 1
        if jobs[row, WORD] == SKIP:
            ring[DONE] += 1
            continue
        step -= 1
        ring[N_FREE] -= 1
        jobs[row, STARTED_NS] = now
        _push_job(ring, slots, jobs, free[ring[N_FREE]], row)


@njit(cache=True, nogil=True)
def drive(ring, slots, free, jobs, n_jobs, n_over, step, deadline_ns):
    """Carry on with the first ``n_jobs`` jobs until some are over, or all of them submitted.

    Parameters
    ----------
    ring : int64[RING_WORDS]
    slots : int64[depth, 2]
    free : int64[depth]          stack of free slots, ``ring[N_FREE]`` of them
    jobs : int64[n, 8]           C-contiguous; rows from n_jobs on are not looked at
    n_over : int                 returns when so many jobs are over, at most ``n_jobs``; 0 returns
                                 as soon as every job is submitted
    step : int                   submissions handed over, and completions waited for, at a time:
                                 handing over the whole queue at once makes device and processor
                                 take turns (4 KiB at depth 32: 0.83 of fio, in fours 1.08)
    deadline_ns : int            of the monotonic clock

    Returns
    -------
    0 when that is reached; -ETIME at the deadline; -EINTR perhaps after a signal, call again; any
    other negative error number: the ring is of no use any more
    """
    depth = slots.shape[0]
    while True:
        now = now_ns(ring)
        ring[AGAIN] = 0
        n_taken = reap(ring, slots, free, jobs, now)
        _fill(ring, slots, free, jobs, n_jobs, step, now)
        if n_taken > 0 and ring[EVENT] >= 0:
            _publish(ring, jobs, n_jobs)
        all_submitted = ring[NEXT] >= n_jobs
        reached = ring[DONE] >= n_over if n_over > 0 else all_submitted
        if n_over > 0 and ring[DONE] >= n_jobs:
            return 0
        if now >= deadline_ns:
            return -_ETIME
        n_wait = 0
        if not reached and (all_submitted or _is_full(ring)):
            # Of what is in flight, abandoned requests may never answer.
            n_wait = max(1, min(step, ring[NEXT] - ring[DONE], depth))
        wait_ns = deadline_ns - now
        if n_taken > 0 and ring[AGAIN] == n_taken:
            # Nothing but "not now": wait for more than can come, which is to sleep a little.
            n_wait, wait_ns = 2 * depth, min(wait_ns, _PAUSE_NS)
        answer = enter(ring, n_wait, wait_ns)
        if answer == -_EINTR:
            return answer
        if answer == -_EAGAIN or answer == -_EBUSY:
            # The kernel is out of memory or of room for completions: make room, sleep a little.
            if reap(ring, slots, free, jobs, now_ns(ring)) == 0:
                _pause(ring, depth, wait_ns)
        elif answer < 0 and answer != -_ETIME:
            return answer
        elif reached:
            # What was filled in its place has been handed over before.
            return 0
        elif answer > 0 and _n_waiting(ring) < n_wait:
            # What was submitted is answered, not that a signal ended the waiting.
            return -_EINTR


@njit(cache=True, nogil=True)
def _pause(ring, depth, most_ns):
    """Wait for more completions than can come, a millisecond at most, submitting nothing."""
    scratch = ring[SCRATCH]
    store_int64(scratch + 16, 0)
    store_int64(scratch + 24, min(most_ns, _PAUSE_NS))
    arguments = scratch + 32
    flags = _GETEVENTS | _EXT_ARG
    system_call(IO_URING_ENTER, ring[FD], 0, 2 * depth, flags, arguments, _EXT_ARG_BYTES)


@njit(cache=True, nogil=True)
def withdraw(ring, slots, free):
    """Take back every submission that the kernel has not taken; its slot is free again."""
    head, tail = np.int64(load_acquire(ring[SQ_HEAD])), np.int64(load_acquire(ring[SQ_TAIL]))
    for _ in range((tail - head) & _LOW_32):
        tail = (tail - 1) & _LOW_32
        user_data = load_int64(ring[SQ_ENTRIES] + (tail & ring[SQ_MASK]) * 64 + 32)
        slot = user_data & (MOST_SLOTS - 1)
        if user_data != CANCELLED and slots[slot, GENERATION] == user_data >> SLOT_BITS:
            slots[slot, JOB] = FREE
            free[ring[N_FREE]] = slot
            ring[N_FREE] += 1
    store_release(ring[SQ_TAIL], np.uint32(tail))


@njit(cache=True, nogil=True)
def cancel(ring, slots, free, jobs):
    """Ask the kernel to give up every request in flight, and take what answers at once.

    Jobs in flight may end by this, with -ECANCELED or whole; the others stay with the device.
    """
    for slot in range(slots.shape[0]):
        if slots[slot, JOB] != FREE:
            user_data = (slots[slot, GENERATION] << SLOT_BITS) | slot
            push(ring, ASYNC_CANCEL, 0, user_data, 0, CANCELLED, 0)
    enter(ring, 0, 0)
    reap(ring, slots, free, jobs, now_ns(ring))


@njit(cache=True, nogil=True)
def abandon(slots):
    """Mark every slot whose request is still in flight, and return how many that are."""
    n_abandoned = 0
    for slot in range(slots.shape[0]):
        if slots[slot, JOB] != FREE:
            slots[slot, JOB] = ABANDONED
            n_abandoned += 1
    return n_abandoned
