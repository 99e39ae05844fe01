"""Serve demand reads before prefetch before write-back, ordered, merged and bounded.

Follows: Linux's I/O classes with a guard against starvation (mq-deadline's expiry); LMCache's
priorities prefetch > write. Requests that touch the same bytes keep the order they came in.
Leaves out: whose turn it is (waiting.py), reads from memory (read_through.py), counting
(scheduler_counts.py), carrying requests out (carrier.py, and the engines).
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic_ns

from workbench.tiering.async_io.carrier import Carrier
from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    Completion,
    Engine,
    EngineStats,
    Request,
    StorageError,
)
from workbench.tiering.async_io.merge import GAP_BYTES, Merger, Moved
from workbench.tiering.async_io.read_ahead import ReadAhead
from workbench.tiering.async_io.read_through import read_through
from workbench.tiering.async_io.request_queue import Outcomes, RequestQueue, Slice, settle
from workbench.tiering.async_io.scheduler_counts import SchedulerCounts
from workbench.tiering.async_io.scheduler_stats import SchedulerStats
from workbench.tiering.async_io.ticket import Priority, Settled, Ticket
from workbench.tiering.async_io.waiting import Limits, Pressing, Waiting
from workbench.tiering.closing import Closing


class Scheduler(Closing):
    """Stands between the tiers and an engine; safe to call from several threads.

    A demand batch goes straight to the engine in the thread that asked. Prefetch and write-back
    wait in queues; one thread sends them off in slices, none while a demand batch is under way,
    except that each of them gets a slice every `Limits.patience_s`. So the device has at most one
    slice of ``depth`` requests beside the demand batches.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        depth: int,
        merge_gap_bytes: int = GAP_BYTES,
        merge: bool = True,
        order: bool = True,
        read_ahead: ReadAhead | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Start with empty queues and no thread; the engine stays its owner's to close.

        Parameters
        ----------
        depth : int               requests that the engine keeps in flight: a slice has that many
                                  at most, and merging leaves a demand batch so many at least
        merge_gap_bytes : int     how far apart merged reads may be
        merge, order : bool       whether batches are merged and sorted (merge.py)
        read_ahead : ReadAhead    cache and predictor of sequential reads, of this scheduler alone;
                                  None: no read-ahead

        Raises
        ------
        StorageError   if a limit is out of range
        """
        self._limits = limits or Limits()
        if depth < 1 or min(dataclasses.astuple(self._limits)[:4]) < 1:
            raise StorageError(f"depth={depth} and {self._limits} must each be at least 1")
        self._engine = engine
        self._depth = depth
        merger = Merger(
            order=order,
            merge=merge,
            gap_bytes=merge_gap_bytes,
            merged_bytes=self._limits.merged_bytes,
        )
        self._carrier = Carrier(engine, merger, read_ahead)
        self._changed = threading.Condition(threading.Lock())
        self._waiting = Waiting(self._limits)
        self._pressing = Pressing()
        self._counts = SchedulerCounts()
        self._in_flight = False
        self._closed = False
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._read_ahead = read_ahead
        if read_ahead is not None:
            read_ahead.bind(self._fetch, self._hurry)

    def open(self, path: Path, *, writable: bool = True) -> int:
        """Open an existing regular file of the engine and return its handle."""
        return self._engine.open(path, writable=writable)

    def forget(self, file: int) -> None:
        """Close one file; what was read ahead of it is dropped."""
        if self._read_ahead is not None:
            self._read_ahead.forget(file)
        self._engine.forget(file)

    def submit(
        self,
        batch: Sequence[Request],
        priority: Priority = Priority.DEMAND,
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> list[Completion]:
        """Carry a batch out and return one completion a request, in its order, by the deadline.

        Raises
        ------
        StorageError   only if the scheduler or the engine is closed, or was opened before a fork

        Cost    about 4 us a batch and 0.15 us a request beside the engine's while no lower priority
                is queued; 0.8 us a request when a batch beyond the depth is ordered and merged.
        """
        if priority is not Priority.DEMAND:
            ticket = self.submit_later(batch, priority, deadline_s)
            return ticket.wait((ticket.end_ns - monotonic_ns()) / 1e9)
        ahead = self._read_ahead
        if ahead is None or not ahead.follows(batch):
            return self._carry_demand(batch, deadline_s)
        self._refuse_closed()
        return read_through(ahead, batch, deadline_s, self._carry_demand, self._note_cached)

    def submit_later(
        self,
        batch: Sequence[Request],
        priority: Priority,
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> Ticket:
        """Queue a batch of prefetches or write-backs; its buffers are the queue's until it is done.

        What has not reached the device by the deadline is dropped with `DeadlineError`. A prefetch
        that finds its queue full is dropped; a write-back waits for room until the deadline. Both
        then complete with `DroppedError`, which names the limit.

        Raises
        ------
        StorageError   if the scheduler is closed or was opened before a fork, or for DEMAND
        """
        if priority is Priority.DEMAND:
            raise StorageError("demand batches are not queued; use submit")
        return self._enqueue(batch, priority, deadline_s, None)

    def stats(self) -> SchedulerStats:
        """Return the counters so far, consistent with each other."""
        with self._changed:
            return self._counts.stats()

    def engine_stats(self) -> EngineStats:
        """Return the engine's own counters."""
        return self._engine.stats()

    def close(self, deadline_s: float = DEFAULT_DEADLINE_S) -> int:
        """Refuse new batches, drop prefetches, write what is queued; closing twice is harmless.

        Returns
        -------
        write-backs that were dropped because ``deadline_s`` had passed; their tickets and the
        stats say so. A slice that hangs in the engine then is left to its own deadline.
        """
        alive = self._pid == os.getpid()
        end_ns = monotonic_ns() + (int(deadline_s * 1e9) if alive else 0)
        with self._changed:
            self._closed = True
            dropped = self._drop(self._waiting.prefetches, "the scheduler was closed")
            self._changed.notify_all()
            while (self._waiting.write_backs.n_requests or self._in_flight) and (
                left_ns := end_ns - monotonic_ns()
            ) > 0:
                self._changed.wait(left_ns / 1e9)
            late = self._drop(self._waiting.write_backs, f"not begun {deadline_s:g} s after close")
            self._changed.notify_all()
        settle(dropped + late)
        if self._thread is not None and alive:
            self._thread.join(max(0.0, (end_ns - monotonic_ns()) / 1e9))
        return sum(len(outcomes) for _, outcomes in late)

    # Demand

    def _carry_demand(self, batch: Sequence[Request], deadline_s: float) -> list[Completion]:
        """Send a batch straight to the engine, unless a queued write has to come first."""
        with self._changed:
            self._refuse_closed()
            if self._waiting.follows_write(batch):
                ticket = self._queue_demand(batch, deadline_s)
            else:
                ticket = None
                self._pressing.demand += 1
                self._counts.straight(len(batch))
        if ticket is not None:
            return self._wait_in_turn(ticket, deadline_s)
        moved: Moved | None = None
        try:
            moved = self._carrier.carry(batch, deadline_s, self._depth)
        finally:
            with self._changed:
                self._pressing.demand -= 1
                if moved is None:
                    self._counts.failed(Priority.DEMAND, len(batch))
                else:
                    self._counts.moved(Priority.DEMAND, moved)
                if self._pressing.demand == 0 and self._thread is not None:
                    self._changed.notify_all()
        return moved.completions

    def _queue_demand(self, batch: Sequence[Request], deadline_s: float) -> Ticket:
        ticket = Ticket(batch, Priority.DEMAND, deadline_s, self._withdraw)
        self._counts.ordered(len(batch))
        self._pressing.urgent += 1
        self._put(self._waiting.write_backs, ticket)
        return ticket

    def _wait_in_turn(self, ticket: Ticket, deadline_s: float) -> list[Completion]:
        try:
            self._carrier.overwrite(ticket.requests)
            completions = ticket.wait(deadline_s)
            if not ticket.done:
                ticket.cancel()
        finally:
            with self._changed:
                self._pressing.urgent -= 1
        return completions

    def _note_cached(self, n_requests: int, n_bytes: int) -> None:
        with self._changed:
            self._counts.cached(n_requests, n_bytes)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StorageError("the scheduler is closed; make another one")

    # Queues

    def _fetch(self, batch: Sequence[Request], deadline_s: float, settled: Settled) -> None:
        """Queue what read-ahead wants; refused or dropped, it hears of it all the same."""
        self._enqueue(batch, Priority.PREFETCH, deadline_s, settled)

    def _hurry(self, more: int) -> None:
        """Let prefetches pass demand batches while a demand read waits for one of them."""
        with self._changed:
            self._pressing.hurried += more
            self._changed.notify_all()

    def _enqueue(
        self,
        batch: Sequence[Request],
        priority: Priority,
        deadline_s: float,
        settled: Settled | None,
    ) -> Ticket:
        if self._pid != os.getpid():
            raise StorageError(
                f"this scheduler was made by process {self._pid}, before a fork; "
                "make another one in this process"
            )
        ticket = Ticket(batch, priority, deadline_s, self._withdraw, settled)
        refused = ""
        with self._changed:
            self._refuse_closed()
            self._counts.queued(priority, len(batch))
            queue = self._waiting.queue_for(ticket)
            refused = self._wait_for_room(queue, ticket)
            if not refused:
                self._put(queue, ticket)
            else:
                self._counts.dropped(priority, len(batch))
        if refused:
            settle([(ticket, ticket.dropped(range(len(batch)), refused))])
        else:
            self._carrier.overwrite(batch)
        return ticket

    def _wait_for_room(self, queue: RequestQueue, ticket: Ticket) -> str:
        """Return "" when a ticket fits, or why it does not."""
        if ticket.priority is Priority.PREFETCH:
            return self._waiting.refusal(queue, ticket)
        while not queue.has_room(len(ticket.requests)):
            left_ns = ticket.end_ns - monotonic_ns()
            if left_ns <= 0:
                return (
                    f"the write-back queue stayed full for {ticket.deadline_s:g} s "
                    f"({queue.n_requests} requests wait, limit {self._limits.write_back_requests})"
                )
            self._changed.wait(left_ns / 1e9)
            if self._closed:
                return "the scheduler was closed"
        return ""

    def _put(self, queue: RequestQueue, ticket: Ticket) -> None:
        if not ticket.requests:
            return
        self._waiting.put(queue, ticket)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="io-scheduler", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _withdraw(self, ticket: Ticket) -> int:
        with self._changed:
            places = self._waiting.withdraw(ticket)
            outcomes = ticket.dropped(places, "it was withdrawn")
            self._forget_waiting([(ticket, outcomes)])
            self._changed.notify_all()
        settle([(ticket, outcomes)])
        return len(places)

    def _drop(self, queue: RequestQueue, why: str) -> Outcomes:
        dropped = [(ticket, ticket.dropped(places, why)) for ticket, places in queue.clear()]
        self._forget_waiting(dropped)
        return dropped

    def _forget_waiting(self, outcomes: Outcomes) -> None:
        """Count requests that left their queue without having been begun."""
        for ticket, ended in outcomes:
            self._counts.dropped(ticket.priority, len(ended))
            self._waiting.writes.remove([completion.request for _, completion in ended])

    # The thread

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                self._carry_slice(work)
                # Not kept until the next slice comes: it holds the callers' buffers.
                del work
        finally:
            with self._changed:
                self._closed = True
                left = self._drop(self._waiting.prefetches, "the scheduler has ended")
                left += self._drop(self._waiting.write_backs, "the scheduler has ended")
            settle(left)

    def _next(self) -> Slice | None:
        """Wait for the next slice; None when the scheduler is closed and nothing is left."""
        while True:
            work: Slice | None = None
            with self._changed:
                now_ns = monotonic_ns()
                late = self._waiting.expire(now_ns)
                self._forget_waiting(late)
                queue = (
                    None
                    if late
                    else self._waiting.turn(now_ns, self._pressing, closed=self._closed)
                )
                if queue is not None:
                    work = self._cut(queue, now_ns)
                elif not late:
                    if self._closed and not self._waiting.write_backs.n_requests:
                        return None
                    self._changed.wait(self._waiting.pause_s())
                if late:
                    self._changed.notify_all()
            settle(late)
            if work is not None:
                return work

    def _cut(self, queue: RequestQueue, now_ns: int) -> Slice:
        work = queue.cut(self._depth, self._limits.slice_bytes, now_ns)
        for ticket, _ in work.origins:
            self._counts.waited(ticket.priority, now_ns - ticket.queued_ns)
        self._in_flight = True
        return work

    def _carry_slice(self, work: Slice) -> None:
        left_s = max(0.0, (work.end_ns - monotonic_ns()) / 1e9)
        try:
            moved = self._carrier.carry(work.requests, left_s, 1)
        except Exception as error:  # whatever it was, others wait for this thread's answer
            failed = StorageError(f"the slice was not carried out: {error}")
            completions = [Completion(request, 0, failed) for request in work.requests]
            moved = Moved(completions, len(completions), 0)
        outcomes = work.outcomes(moved.completions)
        with self._changed:
            self._waiting.writes.remove(work.requests)
            self._counts.moved(work.origins[0][0].priority, moved)
            self._in_flight = False
            self._changed.notify_all()
        settle(outcomes)
