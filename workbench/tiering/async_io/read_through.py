"""Carry a demand batch out from what was read ahead and, for the rest, from the engine.

Follows: what is waited for comes first: reading further ahead begins after it.
Leaves out: what is read ahead (read_ahead.py), and the way to the engine (scheduler.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic_ns

from workbench.tiering.async_io.engine import Completion, Request
from workbench.tiering.async_io.read_ahead import ReadAhead

Carry = Callable[[Sequence[Request], float], list[Completion]]


def read_through(
    ahead: ReadAhead,
    batch: Sequence[Request],
    deadline_s: float,
    carry: Carry,
    note_cached: Callable[[int, int], None],
) -> list[Completion]:
    """Take from memory what was read ahead, from the engine the rest.

    Parameters
    ----------
    carry : callable         brings requests, by a deadline in seconds, from the engine
    note_cached : callable   is told how many requests memory had whole, and all bytes from there

    Raises
    ------
    StorageError   as ``carry`` raises it
    """
    start_ns = monotonic_ns()
    end_ns = start_ns + int(deadline_s * 1e9)
    if len(batch) == 1 and deadline_s > 0 and ahead.serve(batch[0]):
        note_cached(1, batch[0].n_bytes)
        return [Completion(batch[0], monotonic_ns() - start_ns, None)]
    plan = ahead.plan(batch)
    n_bytes = sum(request.n_bytes for request in batch)
    in_memory = plan.n_bytes == n_bytes
    if in_memory:
        ahead.fetch(plan)
    got = ahead.collect(plan, batch, end_ns)
    took_ns = monotonic_ns() - start_ns
    left = {
        place: _after(request, got[place]) if place in got else request
        for place, request in enumerate(batch)
        if got.get(place) != request.n_bytes or not request.n_bytes
    }
    try:
        left_s = max(0.0, (end_ns - start_ns - took_ns) / 1e9)
        moved = carry(list(left.values()), left_s) if left else []
    finally:
        if not in_memory:
            # Not before: what is read ahead must not get in the way of what is waited for.
            ahead.fetch(plan)
    done = [Completion(request, took_ns, None) for request in batch]
    for place, (_, one_ns, error) in zip(left, moved, strict=True):
        waited_ns = took_ns if place in got else 0
        done[place] = Completion(batch[place], one_ns + waited_ns, error)
    got_bytes = sum(n for place, n in got.items() if done[place].error is None)
    note_cached(len(batch) - len(left), got_bytes)
    ahead.learn(plan, n_bytes, monotonic_ns() - start_ns)
    return done


def _after(request: Request, n_bytes: int) -> Request:
    """Return what is left of a read after its first bytes."""
    return Request("read", request.file, request.offset + n_bytes, request.buffer[n_bytes:])
