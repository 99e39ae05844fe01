"""Decide what reaches the device when: in order, merged, bounded, the urgent first.

Follows: the three classes of every storage stack (somebody waits, somebody will, nobody does); one
background thread owns what nobody waits for and dispatches it in small steps.
Leaves out: what to read ahead (read_ahead.py); which write must come before which read: a request
that is not complete yet may be overtaken by any other, so wait for it first.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from workbench.tiering.async_io.checks import too_late
from workbench.tiering.async_io.clock import Clock, RealClock
from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    Completion,
    DeadlineError,
    Engine,
    EngineStats,
    Request,
    StorageError,
)
from workbench.tiering.async_io.merging import Merged, MergeLimits, gap_buffer, merged, unmerged
from workbench.tiering.async_io.priority_gate import Priority, PriorityGate
from workbench.tiering.async_io.tally import Tally

Completions = list[Completion]

# A demand batch is dispatched so many queue depths at a time: others get a turn in between, and the
# queue runs dry between two of them, which costs about half a depth.
_DEPTHS_A_TURN = 16
# A background step: half the queue is always free for demand, and soon all of it.
_STEP_BYTES = 4 << 20
# Requests of one class that are looked at together, to be merged; those of several batches only if
# their deadlines are so near each other that the earliest can stand for all.
_WINDOW = 256
_SAME_DEADLINE_FRAC = 0.05
_USUAL_LIMITS = MergeLimits()


@dataclass(frozen=True, slots=True)
class SchedulerParts:
    """What the scheduler does; each part works without the others.

    Attributes
    ----------
    order : bool                   requests of a batch reach the device by file and offset
    merge : MergeLimits or None    neighbours become one request (which also orders them)
    priority : bool                demand goes before prefetch, prefetch before write-back; without
                                   it every batch goes to the engine at once
    depth : int                    requests under way at once at most, over all threads (needs
                                   ``priority``)
    """

    order: bool = True
    merge: MergeLimits | None = _USUAL_LIMITS
    priority: bool = True
    depth: int = 32

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise StorageError(f"a queue depth of {self.depth} moves nothing; give at least 1")


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    """Counters since the scheduler was made.

    Attributes
    ----------
    requests, dispatched : int   what came in, and what went to the engine in its place
    retried : int                members of merged requests that failed, tried again by themselves
    steps : int                  batches that the background thread dispatched
    waiting : int                requests that wait for the background thread, now
    """

    requests: int
    dispatched: int
    retried: int
    steps: int
    waiting: int


class _Waiting(NamedTuple):
    """A background request, whose completion its batch still lacks."""

    request: Request
    number: int
    batch: _Later


class _Later:
    """A background batch, complete when each of its requests is."""

    def __init__(self, n: int, end_ns: int, deadline_s: float) -> None:
        self.end_ns = end_ns
        self.deadline_s = deadline_s
        self.future: Future[Completions] = Future()
        self._done: list[Completion | None] = [None] * n
        self._missing = n

    def complete(self, number: int, completion: Completion) -> None:
        """Note one completion; only the background thread does this."""
        self._done[number] = completion
        self._missing -= 1
        if self._missing == 0:
            self.future.set_result([done for done in self._done if done is not None])


class Scheduler:
    """An engine in front of another one; safe to call from several threads."""

    def __init__(
        self, engine: Engine, parts: SchedulerParts | None = None, clock: Clock | None = None
    ) -> None:
        """Put a scheduler before an engine, which it closes with itself."""
        self.parts = parts or SchedulerParts()
        self._engine = engine
        self._clock = clock or RealClock()
        self._gate = PriorityGate(self.parts.depth, self._clock)
        self._gap = gap_buffer(self.parts.merge) if self.parts.merge else None
        self._tally = Tally()
        self._counts: Counter[str] = Counter()
        self._names: dict[int, str] = {}
        self._changed = threading.Condition()
        self._waiting: dict[Priority, deque[_Waiting]] = {each: deque() for each in Priority}
        self._thread: threading.Thread | None = None
        self._closed = False

    def open(self, path: Path, *, writable: bool = True) -> int:
        """Open an existing regular file and return its handle."""
        file = self._engine.open(path, writable=writable)
        self._names[file] = path.name
        return file

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        priority: Priority = Priority.DEMAND,
    ) -> Completions:
        """Move every block and return one completion a request; see `engine.Engine.submit`.

        Demand is dispatched by the calling thread, the other classes by the background thread.
        """
        if priority is not Priority.DEMAND and self.parts.priority:
            return self.submit_later(batch, priority, deadline_s).result()
        end_ns = self._clock.now_ns() + int(deadline_s * 1e9)
        groups = self._plan(batch)
        turn = _DEPTHS_A_TURN * self.parts.depth if self.parts.priority else max(1, len(groups))
        done: dict[int, Completion] = {}
        for start in range(0, max(1, len(groups)), turn):
            part = groups[start : start + turn]
            done.update(self._dispatch(batch, part, priority, end_ns, deadline_s))
        completions = [done[number] for number in range(len(batch))]
        self._tally.count(completions)
        return completions

    def submit_later(
        self,
        batch: Sequence[Request],
        priority: Priority,
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> Future[Completions]:
        """Hand a batch to the background thread and return at once.

        The deadline counts from now. Buffers belong to the scheduler until the future is done;
        cancelling it changes nothing.

        Raises
        ------
        StorageError   if the scheduler is closed
        """
        later = _Later(len(batch), self._clock.now_ns() + int(deadline_s * 1e9), deadline_s)
        later.future.set_running_or_notify_cancel()
        if not batch:
            later.future.set_result([])
            return later.future
        with self._changed:
            if self._closed:
                raise StorageError("the engine is closed; open another one")
            self._waiting[priority].extend(
                _Waiting(request, number, later) for number, request in enumerate(batch)
            )
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="io-scheduler", daemon=True
                )
                self._thread.start()
            self._changed.notify()
        return later.future

    def forget(self, file: int) -> None:
        """Close one file; its handle is never given out again."""
        self._engine.forget(file)

    def stats(self) -> EngineStats:
        """Return the counters so far, in requests as they were asked for."""
        inner = self._engine.stats()
        own = self._tally.stats(inner.kind, inner.direct, inner.fallback_reason)
        counts = {
            name: getattr(inner, name)
            for name in ("short_transfers", "stale_completions", "pinned_buffers")
        }
        return dataclasses.replace(own, **counts)

    def scheduling(self) -> SchedulerStats:
        """Return what scheduling has done so far."""
        with self._changed:
            return SchedulerStats(
                requests=self._counts["requests"],
                dispatched=self._counts["dispatched"],
                retried=self._counts["retried"],
                steps=self._counts["steps"],
                waiting=sum(len(waiting) for waiting in self._waiting.values()),
            )

    def close(self) -> None:
        """Finish what waits, at most until the default deadline, and close the engine."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(DEFAULT_DEADLINE_S)
        self._engine.close()

    def _plan(self, batch: Sequence[Request]) -> list[Merged]:
        if len(batch) < 2:
            return unmerged(batch, order=False)
        if self.parts.merge is not None:
            return merged(batch, self.parts.merge, self._gap)
        return unmerged(batch, self.parts.order)

    def _dispatch(
        self,
        batch: Sequence[Request],
        groups: Sequence[Merged],
        priority: Priority,
        end_ns: int,
        deadline_s: float,
    ) -> dict[int, Completion]:
        """Move groups as one batch of the engine; return the completion of each member."""
        start_ns = self._clock.now_ns()
        places = 0
        if self.parts.priority and groups and deadline_s > 0:
            places = self._gate.enter(len(groups), priority, end_ns)
            if places == 0:
                return self._all_late(batch, groups, start_ns, deadline_s)
        try:
            left_s = (end_ns - self._clock.now_ns()) / 1e9 if deadline_s > 0 else 0.0
            moved = self._engine.submit([group.request for group in groups], left_s)
        finally:
            self._gate.leave(places)
        n_members = sum(len(group.members) for group in groups)
        self._count(requests=n_members, dispatched=len(groups))
        done: dict[int, Completion] = {}
        for group, completion in zip(groups, moved, strict=True):
            done.update(self._split(batch, group, completion, end_ns, deadline_s))
        return done

    def _split(
        self,
        batch: Sequence[Request],
        group: Merged,
        completion: Completion,
        end_ns: int,
        deadline_s: float,
    ) -> dict[int, Completion]:
        """Return what a merged request's completion means for its members."""
        _, took_ns, error = completion
        if len(group.members) == 1:
            return {group.members[0]: completion}
        if error is None:
            return {at: Completion(batch[at], took_ns, None) for at in group.members}
        members = [batch[at] for at in group.members]
        if isinstance(error, DeadlineError):
            # The device may still have all their buffers.
            alone = [
                Completion(one, took_ns, too_late(one, self._name(one), deadline_s))
                for one in members
            ]
        else:
            # One of them may be bad, or beyond the end of the file; the others are not.
            self._count(retried=len(members))
            left_s = max(0.0, (end_ns - self._clock.now_ns()) / 1e9)
            alone = self._engine.submit(members, left_s)
        return dict(zip(group.members, alone, strict=True))

    def _all_late(
        self, batch: Sequence[Request], groups: Sequence[Merged], start_ns: int, deadline_s: float
    ) -> dict[int, Completion]:
        took_ns = self._clock.now_ns() - start_ns
        return {
            at: Completion(
                batch[at],
                took_ns,
                too_late(batch[at], self._name(batch[at]), deadline_s, tried=False),
            )
            for group in groups
            for at in group.members
        }

    def _serve(self) -> None:
        """Dispatch what waits, step by step, until the scheduler is closed and nothing does."""
        while True:
            with self._changed:
                while not (priority := self._most_urgent()) and not self._closed:
                    self._changed.wait()
                if priority is None:
                    return
                window, groups = self._take(priority)
            self._step(window, groups, priority)

    def _most_urgent(self) -> Priority | None:
        return next((each for each in Priority if self._waiting[each]), None)

    def _take(self, priority: Priority) -> tuple[list[_Waiting], list[Merged]]:
        """Take requests for one step: so many that half the queue is full of what they become."""
        waiting = self._waiting[priority]
        first = waiting[0].batch
        latest_ns = first.end_ns + first.deadline_s * 1e9 * _SAME_DEADLINE_FRAC
        window: list[_Waiting] = []
        while waiting and len(window) < _WINDOW and waiting[0].batch.end_ns <= latest_ns:
            window.append(waiting.popleft())
        groups = self._plan([one.request for one in window])
        n_chosen, n_bytes = 0, 0
        for group in groups[: max(1, self.parts.depth // 2)]:
            n_bytes += group.request.n_bytes
            if n_chosen and n_bytes > _STEP_BYTES:
                break
            n_chosen += 1
        left = sorted(at for group in groups[n_chosen:] for at in group.members)
        waiting.extendleft(window[at] for at in reversed(left))
        return window, groups[:n_chosen]

    def _step(
        self, window: Sequence[_Waiting], groups: Sequence[Merged], priority: Priority
    ) -> None:
        batch = [one.request for one in window]
        earliest = min(window, key=lambda one: one.batch.end_ns).batch
        try:
            done = self._dispatch(batch, groups, priority, earliest.end_ns, earliest.deadline_s)
        except StorageError as error:
            members = [at for group in groups for at in group.members]
            done = {at: Completion(batch[at], 0, error) for at in members}
        self._tally.count(done.values())
        self._count(steps=1)
        for at, completion in done.items():
            window[at].batch.complete(window[at].number, completion)

    def _name(self, request: Request) -> str:
        return self._names.get(request.file, "unknown file")

    def _count(self, **counts: int) -> None:
        with self._changed:
            self._counts.update(counts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
