"""Name the ways to restore, each one part of the I/O stack more than the one before it.

Follows: ablation: what a part is worth shows only when nothing else changes with it.
Leaves out: the workloads (restore_workloads.py) and timing them (restore_pass.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from workbench.benchmark.storage.restore_workloads import SCATTERED
from workbench.tiering.async_io.engine import Request, check_all
from workbench.tiering.async_io.open_engine import Kind, open_engine
from workbench.tiering.async_io.read_ahead import ReadAhead
from workbench.tiering.async_io.real_files import RealFiles
from workbench.tiering.async_io.scheduler import Scheduler
from workbench.tiering.async_io.ticket import Priority, Ticket

# The baseline: Day 1's engine and block size, one block after the other into ordinary pages.
SYNCHRONOUS = "synchronous"
BLOCK_SIZE, QUEUE_DEPTH, MERGING = "block_size", "queue_depth", "merging"
HUGE_PAGES, REGISTERED, READ_AHEAD = "huge_pages", "registered", "read_ahead"
WHOLE_PLAN = "whole_plan"
DEPTH_SMALL, MERGING_SMALL = "queue_depth_small", "merging_small"
SCHEDULER, SAME_AGAIN = "scheduler", "queue_depth_again"

SMALL_KIB = 16

# What a variant has that the one before it lacks.
WHAT = {
    SYNCHRONOUS: "the baseline: one block at a time, ordinary pages",
    BLOCK_SIZE: "larger blocks",
    QUEUE_DEPTH: "a step's blocks in flight at once",
    MERGING: "order and merging",
    HUGE_PAGES: "destination in huge pages",
    REGISTERED: "destination registered with the ring",
    READ_AHEAD: "read-ahead",
    WHOLE_PLAN: "everything asked for at once; no read-ahead",
    DEPTH_SMALL: "small blocks, in flight at once",
    MERGING_SMALL: "small blocks, in flight at once and merged",
    SCHEDULER: "a scheduler with nothing switched on",
    SAME_AGAIN: "nothing: the same once more",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to restore.

    Attributes
    ----------
    block_kib : int               what is asked for is cut into requests of at most this size
    depth : int                   requests in flight; 1 is the synchronous engine
    scheduler : bool              one stands before the engine, with or without the next two
    merge, read_ahead : bool      its parts
    huge, registered : bool       destination in huge pages; registered with the ring
    whole : bool                  the consumer asks for everything at once, not step by step
    """

    name: str
    block_kib: int
    depth: int
    scheduler: bool = False
    merge: bool = False
    read_ahead: bool = False
    huge: bool = False
    registered: bool = False
    whole: bool = False


def ladder(block_kib: int, depth: int) -> tuple[Variant, ...]:
    """Return the parts switched on one by one, and at last a consumer that asks for all at once.

    Two more show merging where it has something to merge: small blocks, in flight at once.
    """
    deep = Variant(QUEUE_DEPTH, block_kib, depth)
    merging = replace(deep, name=MERGING, scheduler=True, merge=True)
    huge = replace(merging, name=HUGE_PAGES, huge=True)
    registered = replace(huge, name=REGISTERED, registered=True)
    small = replace(deep, name=DEPTH_SMALL, block_kib=SMALL_KIB)
    return (
        Variant(SYNCHRONOUS, SMALL_KIB, 1),
        Variant(BLOCK_SIZE, block_kib, 1),
        deep,
        merging,
        huge,
        registered,
        replace(registered, name=READ_AHEAD, read_ahead=True),
        # Nothing is left to foresee, and blocks of the chosen size need no merging.
        replace(registered, name=WHOLE_PLAN, scheduler=False, merge=False, whole=True),
        small,
        replace(small, name=MERGING_SMALL, scheduler=True, merge=True),
    )


def parts_alone(depth: int) -> tuple[Variant, ...]:
    """Return each part by itself and the engine without any, twice: how far the same differs."""
    deep = Variant(QUEUE_DEPTH, SMALL_KIB, depth)
    scheduler = replace(deep, name=SCHEDULER, scheduler=True)
    return (
        deep,
        scheduler,
        replace(scheduler, name=MERGING, merge=True),
        replace(scheduler, name=READ_AHEAD, read_ahead=True),
        replace(deep, name=HUGE_PAGES, huge=True),
        replace(deep, name=SAME_AGAIN),
    )


def variants_for(workload: str, block_kib: int, depth: int) -> tuple[Variant, ...]:
    """Return what a workload is restored with: all parts in turn, or each where it cannot help."""
    return parts_alone(depth) if workload == SCATTERED else ladder(block_kib, depth)


def baseline_of(workload: str) -> str:
    """Return the variant that a workload's others are held against."""
    return QUEUE_DEPTH if workload == SCATTERED else SYNCHRONOUS


class System(Protocol):
    """An opened variant: moves one step after the other."""

    engine: RealFiles

    def move(self, reads: Sequence[Request], writes: Sequence[Request]) -> None:
        """Return when the reads are there; raise if one failed."""

    def finish(self) -> None:
        """Return when what was written back is on the device; raise if anything failed."""


class _Plain:
    """An engine by itself: reads and writes of a step in one batch."""

    def __init__(self, engine: RealFiles) -> None:
        self.engine = engine

    def move(self, reads: Sequence[Request], writes: Sequence[Request]) -> None:
        check_all(self.engine.submit([*reads, *writes] if writes else reads))

    def finish(self) -> None:
        """Nothing is left behind by `move`."""


class _Scheduled:
    """An engine behind a scheduler, which does what is written back when nobody waits."""

    def __init__(self, engine: RealFiles, scheduler: Scheduler) -> None:
        self.engine = engine
        self._scheduler = scheduler
        self._written_back: list[Ticket] = []

    def move(self, reads: Sequence[Request], writes: Sequence[Request]) -> None:
        if writes:
            later = self._scheduler.submit_later(writes, Priority.WRITE_BACK)
            self._written_back.append(later)
        check_all(self._scheduler.submit(reads))

    def finish(self) -> None:
        for ticket in self._written_back:
            check_all(ticket.wait())
        self._written_back.clear()


@contextmanager
def opened(variant: Variant, memory: memoryview) -> Iterator[System]:
    """Open a variant's engine, and its scheduler if it has one; close both in the end.

    Parameters
    ----------
    memory : memoryview   where the bytes will go, in the pages that the variant asks for
    """
    with ExitStack() as stack:
        kind: Kind = "synchronous" if variant.depth == 1 else "auto"
        fixed = [memory] if variant.registered else []
        engine = stack.enter_context(open_engine(kind, depth=variant.depth, fixed=fixed))
        if not variant.scheduler:
            yield _Plain(engine)
            return
        ahead = ReadAhead() if variant.read_ahead else None
        scheduler = Scheduler(
            engine,
            depth=variant.depth,
            merge=variant.merge,
            order=variant.merge,
            read_ahead=ahead,
        )
        stack.callback(scheduler.close)
        yield _Scheduled(engine, scheduler)
