"""The SSD tier: blocks of bytes under 32-byte keys, on preallocated files, that survive crashes.

Follows: a tier may forget, it may never lie: everything that goes wrong below is a miss and a
counter. One writer at a time, any number of readers, from any threads.
Leaves out: what blocks mean, compression, how blocks are sealed (the rooms beside this one).

What survives
    a killed process    every put and delete that returned
    a power loss        everything before the last `flush` (or background flush) that returned True
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, overload

from workbench.errors import UsageError
from workbench.paths import shown
from workbench.tiering.async_io.clock import Clock, RealClock
from workbench.tiering.async_io.engine import Engine, Folder, StorageError
from workbench.tiering.async_io.folder import RealFolder
from workbench.tiering.closing import Closing
from workbench.tiering.ssd_tier.arguments import checked_bytes, checked_key
from workbench.tiering.ssd_tier.config import SsdTierConfig
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.durability import conclude, flush
from workbench.tiering.ssd_tier.errors import StoreForkedError
from workbench.tiering.ssd_tier.flusher import Flusher
from workbench.tiering.ssd_tier.frame import Attributes
from workbench.tiering.ssd_tier.integrity import CheckReport, check_store
from workbench.tiering.ssd_tier.layout import LOCK
from workbench.tiering.ssd_tier.lock import FolderLock
from workbench.tiering.ssd_tier.lookup import OnHits, look_up
from workbench.tiering.ssd_tier.opening import open_store
from workbench.tiering.ssd_tier.pin import Pin
from workbench.tiering.ssd_tier.putting import Offer, delete, put_all
from workbench.tiering.ssd_tier.reading import Frame
from workbench.tiering.ssd_tier.sealing import Sealing
from workbench.tiering.ssd_tier.snapshot_file import publish
from workbench.tiering.ssd_tier.stats import Condition, StoreStats, condition, gather

if TYPE_CHECKING:
    from typing_extensions import Buffer

_NO_ATTRIBUTES = Attributes()


class _Closable(Protocol):
    def close(self) -> None: ...


def _new_uuid() -> bytes:
    return uuid.uuid4().bytes


class SsdTier(Closing):
    """One open store. `open` makes or recovers it; `close` leaves a snapshot for a quick start."""

    def __init__(self, core: Core, lock: FolderLock | None, owned: Sequence[_Closable]) -> None:
        """Use `open`; this takes a core that has been brought up."""
        self._core = core
        self._lock = lock
        self._owned = owned
        self._pid = os.getpid()
        self._flusher: Flusher | None = None
        if core.config.flush_every_s is not None:
            self._flusher = Flusher(
                self.flush, self._is_dirty, core.clock, core.config.flush_every_s
            )

    @classmethod
    def open(
        cls,
        folder: Path | Folder,
        config: SsdTierConfig,
        engine: Engine | None = None,
        *,
        clock: Clock | None = None,
        new_uuid: Callable[[], bytes] = _new_uuid,
        pin: Pin | None = None,
        sealing: Sealing | None = None,
    ) -> SsdTier:
        """Make a store in a folder, or recover the one that is there.

        Parameters
        ----------
        folder : Path or Folder    a path is locked against other processes; a Folder of one's own
                                   is not, unless it is a RealFolder
        engine : Engine or None    stays open when the tier is closed; None: the best there is
        clock, new_uuid            for tests
        pin : Pin or None          what an earlier `pin` returned: refuse an older state
        sealing : Sealing or None  seals and opens what is stored (the room beside: encryption); a
                                   sealed store opens with its own keys only, a plain one with none

        Raises
        ------
        UsageError       if the configuration makes no sense
        StorageError     in one of the kinds of errors.py: in use, other version, other geometry,
                         damaged, rolled back, sealed; or if files cannot be made

        Cost    40 ms for 100,000 blocks after a clean stop, a few seconds after a lost index.
        """
        with contextlib.ExitStack() as undo:
            owned: list[_Closable] = []
            if isinstance(folder, Path):
                folder = RealFolder(folder)
                undo.callback(folder.close)
                owned.append(folder)
            lock = None
            if isinstance(folder, RealFolder):
                lock = FolderLock(folder, shown(folder.path(LOCK).parent))
                undo.callback(lock.release)
            if engine is None:
                engine = default_engine()
                undo.callback(engine.close)
                owned.append(engine)
            core = Core.of(config, engine, folder, clock or RealClock(), sealing)
            open_store(core, new_uuid, pin)
            tier = cls(core, lock, owned)
            undo.pop_all()
            return tier

    # Blocks

    def put(self, key: bytes, value: Buffer, attributes: Attributes = _NO_ATTRIBUTES) -> bool:
        """Store a block; return whether it is stored, now or already with the very same bytes.

        False leaves everything as it was: the policy refused it, it is larger than half a segment,
        there was no room, or the device failed. The value must not change until this returns.

        Raises
        ------
        UsageError   if the key is not 32 bytes, or the value is not contiguous
        """
        return self.put_many([(key, value, attributes)])[0]

    def put_many(self, blocks: Iterable[tuple[bytes, Buffer, Attributes]]) -> list[bool]:
        """Store several blocks, each as `put` does; the next is laid out while one is written."""
        self._refuse_fork()
        core = self._core
        deadline = core.deadline(core.config.write_deadline_s)
        offers = [
            Offer(checked_key(k), checked_bytes(value), attributes)
            for k, value, attributes in blocks
        ]
        if core.closed:
            core.counters.add(puts=len(offers), puts_refused=len(offers))
            return [False] * len(offers)
        return put_all(core, offers, deadline)

    @overload
    def get(self, key: bytes, buffer: None = None) -> bytes | None: ...

    @overload
    def get(self, key: bytes, buffer: memoryview) -> memoryview | None: ...

    def get(self, key: bytes, buffer: memoryview | None = None) -> bytes | memoryview | None:
        """Return a block's stored bytes, or None: a miss.

        With a buffer the bytes come as a view: of the buffer, if it starts on a page and has room
        for whole pages, else of pooled memory. After a miss the buffer may hold anything.
        """
        (payload,) = self.get_many([key], [buffer])
        return bytes(payload) if payload is not None and buffer is None else payload

    def get_many(
        self,
        keys: Sequence[bytes],
        buffers: Sequence[memoryview | None] | None = None,
        attributes: Attributes | None = None,
        on_hits: OnHits | None = None,
    ) -> list[memoryview | None]:
        """Return the stored bytes of several blocks as views, None for each miss.

        The bytes were read where they are, and verified. Pooled memory is lent out again once the
        last view of it is gone; a view stays valid and unchanged for as long as it is held.

        Parameters
        ----------
        buffers : sequence or None         page-aligned memory of whole pages for each block
        attributes : Attributes or None    a block with another fingerprint, tenant or codec is a
                                           miss
        on_hits : callable or None         told of one hit after another while later blocks are
                                           under way: how many there are from the first on, and the
                                           last one's bytes. In any thread, but one call at a time
                                           and none after this has returned; mostly not of all, and
                                           of small batches not at all

        Cost    one read a block, in one batch, sums taken meanwhile; 20 us a block around it.
        """
        frames = self.get_frames(keys, buffers, attributes, on_hits)
        return [None if frame is None else frame.payload for frame in frames]

    def get_frames(
        self,
        keys: Sequence[bytes],
        buffers: Sequence[memoryview | None] | None = None,
        attributes: Attributes | None = None,
        on_hits: OnHits | None = None,
    ) -> list[Frame | None]:
        """Return whole frames, header and payload, as `get_many` returns payloads."""
        self._refuse_fork()
        core = self._core
        keys = [checked_key(key) for key in keys]
        if buffers is not None and len(buffers) != len(keys):
            raise UsageError(f"{len(buffers)} buffers for {len(keys)} keys; give one for each")
        try:
            if core.closed:
                raise MemoryError
            deadline = core.deadline(core.config.read_deadline_s)
            places = buffers or [None] * len(keys)
            return look_up(core, keys, places, deadline, attributes, on_hits)
        except MemoryError:
            n = len(keys)
            core.counters.add(lookups=n, misses=n, misses_refused=n)
            return [None] * n

    def delete(self, key: bytes) -> bool:
        """Forget a block; return whether it was there. It never comes back after a `flush`."""
        self._refuse_fork()
        deadline = self._core.deadline(self._core.config.write_deadline_s)
        checked_key(key)
        with self._core.writing(deadline) as granted:
            return granted and delete(self._core, key, deadline)

    def contains(self, key: bytes) -> bool:
        """Return whether a block is in the index; only a `get` proves that it can be had."""
        self._refuse_fork()
        return not self._core.closed and checked_key(key) in self._core.index

    def contains_all(self, keys: Iterable[bytes]) -> bool:
        """Return whether all of some blocks are in the index."""
        self._refuse_fork()
        index = self._core.index
        return not self._core.closed and all(checked_key(key) in index for key in keys)

    def stored_bytes(self, key: bytes) -> int | None:
        """Return the length of a block's stored bytes, None if it is not in the index."""
        self._refuse_fork()
        entry = self._core.index.get(checked_key(key))
        return None if entry is None else entry.stored_bytes

    # The store

    def flush(self) -> bool:
        """Make every put and delete so far survive power loss; return whether they do.

        False: nothing since the last good flush is claimed. Blocks of a segment whose sync failed
        have been dropped, since the system may have thrown them away: put them again.
        """
        self._refuse_fork()
        core = self._core
        deadline = core.deadline(core.config.write_deadline_s)
        with core.writing(deadline) as granted:
            is_durable = granted and flush(core, deadline)
        core.counters.add(flushes=1, flushes_failed=int(not is_durable))
        return is_durable

    def pin(self) -> Pin:
        """Flush, and return what `open` needs to recognise an older copy of the store."""
        self.flush()
        return Pin(self._core.store, self._core.durable_sequence)

    def stats(self) -> StoreStats:
        """Return all counters and gauges."""
        return gather(self._core, self._lock is not None)

    def condition(self) -> Condition:
        """Return the part of `stats` that says whether it works, in microseconds."""
        return condition(self._core)

    def check(self, on_blocks: Callable[[int], None] | None = None) -> CheckReport:
        """Read everything and compare every sum, bound and byte count; damaged blocks go.

        ``on_blocks`` is told how many blocks were read so far.
        """
        self._refuse_fork()
        with self._core.writer:
            return check_store(self._core, self._lock is not None, on_blocks)

    def close(self) -> None:
        """Flush, leave a snapshot, let go of everything; closing twice is harmless, never raises.

        If the device fails or hangs the snapshot is left out: the next opening scans instead.
        """
        if self._core.closed or os.getpid() != self._pid:
            return
        if self._flusher is not None:
            self._flusher.stop()
        core = self._core
        deadline = core.deadline(core.config.write_deadline_s)
        with core.writing(deadline) as granted:
            if granted:
                conclude(core, deadline)
                publish(core, deadline)
            core.closed = True
        core.stop_helper()
        if core.sealing is not None:
            core.sealing.close()
        for segment in core.table.segments:
            with contextlib.suppress(StorageError):
                core.device.engine.forget(segment.file)
        for owned in reversed(self._owned):
            with contextlib.suppress(StorageError):
                owned.close()
        if self._lock is not None:
            self._lock.release()

    def _is_dirty(self) -> bool:
        return bool(self._core.table.dirty() or self._core.strays.pending())

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid:
            raise StoreForkedError(
                f"the store was opened by process {self._pid}, before a fork; open another one, in "
                "another folder, in this process"
            )


def default_engine() -> Engine:
    """Return the best engine there is."""
    # Imported late: it compiles kernels, which callers with an engine of their own need not.
    from workbench.tiering.async_io.open_engine import open_engine

    return open_engine()
