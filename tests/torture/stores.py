"""Open small stores, so that every path of a large one is walked within a few operations.

Follows: small exhaustive beats large random (B3, OSDI'18).
Leaves out: real sizes (tests/torture/kills.py).
"""

from __future__ import annotations

from dataclasses import replace

from workbench.tiering.async_io.clock import Clock, VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES, Engine, Folder
from workbench.tiering.encryption import MasterKey, StoreSealing
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.sealing import Sealing

SEGMENT_PAGES = 16
MASTER = MasterKey.parse(b"the torture run's own master key", "here")
# Eight blocks of five pages at most are half of five segments: nothing need ever be evicted.
SMALL = SsdTierConfig(
    capacity_bytes=7 * SEGMENT_PAGES * PAGE_BYTES,
    segment_bytes=SEGMENT_PAGES * PAGE_BYTES,
    max_blocks=40,
    flush_every_s=None,
    snapshot_every_segments=3,
    pool_bytes=1 << 20,
    read_deadline_s=1.0,
    write_deadline_s=1.0,
)
# Three segments: everything is evicted all the time.
TIGHT = replace(SMALL, capacity_bytes=4 * SEGMENT_PAGES * PAGE_BYTES, max_blocks=12)


def open_small(
    folder: Folder,
    engine: Engine,
    config: SsdTierConfig = SMALL,
    clock: Clock | None = None,
    sealing: Sealing | None = None,
) -> SsdTier:
    """Open a store with the same uuid every time, on a clock that only moves when waited on."""
    clock = clock or VirtualClock()
    return SsdTier.open(
        folder,
        config,
        engine,
        clock=clock,
        new_uuid=lambda: b"0123456789abcdef",
        sealing=sealing,
    )


def open_sealed(
    folder: Folder,
    engine: Engine,
    config: SsdTierConfig = SMALL,
    clock: Clock | None = None,
) -> SsdTier:
    """Open a small store that is sealed under a master key that is always the same."""
    return open_small(folder, engine, config, clock, StoreSealing(MASTER))
