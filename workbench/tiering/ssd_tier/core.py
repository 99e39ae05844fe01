"""Hold what the parts of one open store share.

Follows: parts are functions over this state; whoever changes what is on disk holds ``writer``.
Leaves out: behaviour, but for handing out sequence numbers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from workbench.tiering.async_io.clock import Clock
from workbench.tiering.async_io.engine import Engine, Folder
from workbench.tiering.ssd_tier.admission import Admission
from workbench.tiering.ssd_tier.buffer_pool import BufferPool
from workbench.tiering.ssd_tier.config import SsdTierConfig
from workbench.tiering.ssd_tier.counters import Counters
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.device import Device
from workbench.tiering.ssd_tier.health import Health
from workbench.tiering.ssd_tier.index import Index
from workbench.tiering.ssd_tier.layout import Layout
from workbench.tiering.ssd_tier.reinsertion import Reinsertion
from workbench.tiering.ssd_tier.sealing import Sealing
from workbench.tiering.ssd_tier.segment_header import NOT_SEALED
from workbench.tiering.ssd_tier.segments import SegmentTable
from workbench.tiering.ssd_tier.strays import Strays

# Opening sealed blocks as fast as a disk reads them takes two processors.
_HELPERS = 2


@dataclass(slots=True)
class Core:
    """The state of one store.

    Attributes
    ----------
    sealing : Sealing        or None: nothing is sealed
    store : bytes[16]        its uuid
    sealed_as : bytes[16]    which keys its segments name
    next_sequence : int      number of the next frame or life of a segment
    durable_sequence : int   frames up to this number survive power loss
    filled_segments : int    since the last snapshot
    lacks_spare : bool       beside the open segment none is free
    snapshot_bytes : int     length of the published snapshot, 0 if there is none
    snapshot_temp_bytes      and of one that could be neither published nor removed
    """

    config: SsdTierConfig
    layout: Layout
    device: Device
    counters: Counters
    clock: Clock
    pool: BufferPool
    index: Index
    table: SegmentTable
    strays: Strays
    health: Health
    admission: Admission
    reinsertion: Reinsertion
    sealing: Sealing | None = None
    store: bytes = b""
    sealed_as: bytes = NOT_SEALED
    next_sequence: int = 1
    durable_sequence: int = 0
    filled_segments: int = 0
    lacks_spare: bool = False
    snapshot_bytes: int = 0
    snapshot_temp_bytes: int = 0
    closed: bool = False
    writer: threading.RLock = field(default_factory=threading.RLock)
    _admission_lock: threading.Lock = field(default_factory=threading.Lock)
    _helper: ThreadPoolExecutor | None = None
    _helper_lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def writing(self, deadline: Deadline) -> Iterator[bool]:
        """Hold the writer's lock; False if it was not to be had in time, or the store is closed."""
        held = self.writer.acquire(timeout=deadline.left_s())
        try:
            yield held and not self.closed
        finally:
            if held:
                self.writer.release()

    def admits(self, key: bytes, stored_bytes: int) -> bool:
        """Ask the admission policy."""
        with self._admission_lock:
            return self.admission.admits(key, stored_bytes)

    def helper(self) -> ThreadPoolExecutor:
        """Return the threads that work while another waits for the device; mostly there is one."""
        with self._helper_lock:
            if self._helper is None:
                self._helper = ThreadPoolExecutor(_HELPERS, thread_name_prefix="ssd-tier")
            return self._helper

    def stop_helper(self) -> None:
        """Let that thread end once it has done what it was given."""
        with self._helper_lock:
            if self._helper is not None:
                self._helper.shutdown(wait=False)

    @classmethod
    def of(
        cls,
        config: SsdTierConfig,
        engine: Engine,
        folder: Folder,
        clock: Clock,
        sealing: Sealing | None = None,
    ) -> Core:
        """Return the state of a store that has not been opened yet."""
        layout, counters = Layout.of(config), Counters()
        return cls(
            config=config,
            layout=layout,
            device=Device(engine, folder, counters),
            counters=counters,
            clock=clock,
            pool=BufferPool(config.pool_bytes),
            index=Index(layout.max_blocks, layout.n_segments),
            table=SegmentTable(layout.segment_pages),
            strays=Strays(),
            health=Health(clock, config.errors_until_read_only, config.read_only_retry_s),
            admission=config.admission(),
            reinsertion=config.reinsertion(),
            sealing=sealing,
        )

    def deadline(self, seconds: float) -> Deadline:
        """Return a time limit that begins now."""
        return Deadline(self.clock, seconds)

    def take_sequence(self) -> int:
        """Return a number that no frame and no segment's life had before."""
        number = self.next_sequence
        self.next_sequence += 1
        return number
