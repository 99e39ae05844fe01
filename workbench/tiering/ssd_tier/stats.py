"""Say how a store is, in numbers, and in Prometheus' text format.

Follows: every counter of counters.py, then the gauges.
Leaves out: the format (exposition.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

from workbench.tiering import exposition
from workbench.tiering.async_io.engine import EngineStats
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.counters import Counts
from workbench.tiering.ssd_tier.layout import LOCK_BYTES
from workbench.tiering.ssd_tier.segments import State

_PREFIX = "ssd_tier"


@dataclass(frozen=True, slots=True)
class StoreStats:
    """One store at one moment.

    Attributes
    ----------
    counts : Counts            what happened since it was opened
    engine : EngineStats       the device's view: engine in use, O_DIRECT, why not
    state : str                "ok", "read_only" or "closed"
    reason : str               why it is read-only, else ""
    blocks, max_blocks         stored now, and at most
    blocks_unread              among them: never read back since they were written
    live_bytes                 of frames that count
    unflushed_bytes            of frames that a power loss may take
    disk_bytes, limit_bytes    the lengths of all files, and what they may reach
    index_bytes, pool_bytes    memory
    segments_free, segments_bad, segments_total
    strays                     frames that wait to be marked dead
    durable_sequence           frames up to this number survive power loss
    """

    counts: Counts
    engine: EngineStats
    state: str
    reason: str
    blocks: int
    max_blocks: int
    blocks_unread: int
    live_bytes: int
    unflushed_bytes: int
    disk_bytes: int
    limit_bytes: int
    index_bytes: int
    pool_bytes: int
    segments_free: int
    segments_bad: int
    segments_total: int
    strays: int
    durable_sequence: int

    @property
    def write_amplification(self) -> float:
        """Return bytes written to the device over bytes that callers put; 0 before the first."""
        return self.counts.written_bytes / self.counts.put_bytes if self.counts.put_bytes else 0.0

    def prometheus(self) -> str:
        """Return all numbers as Prometheus text."""
        lines = exposition.counters(_PREFIX, asdict(self.counts))
        lines += exposition.gauges(
            _PREFIX, {one.name: getattr(self, one.name) for one in fields(self)}
        )
        lines += exposition.info(f"{_PREFIX}_state_info", state=self.state, reason=self.reason)
        lines += exposition.info(
            f"{_PREFIX}_engine_info",
            kind=self.engine.kind,
            direct=str(self.engine.direct).lower(),
            fallback=self.engine.fallback_reason,
        )
        lines += exposition.gauges(_PREFIX, {"write_amplification_ratio": self.write_amplification})
        return exposition.page(lines)


class Condition(NamedTuple):
    """Whether a store works.

    Attributes
    ----------
    state : str       "ok", "read_only" or "closed"
    reason : str      why it is read-only, else ""
    counts : Counts   what happened since it was opened
    """

    state: str
    reason: str
    counts: Counts


def condition(core: Core) -> Condition:
    """Return whether a store works."""
    state = "closed" if core.closed else "read_only" if core.health.read_only else "ok"
    return Condition(state, core.health.reason, core.counters.read())


def gather(core: Core, locked: bool) -> StoreStats:
    """Return a store's numbers as they are now."""
    table, index = core.table, core.index
    state, reason, counts = condition(core)
    states = [segment.state for segment in table.segments]
    pages = sum(segment.end_page - segment.synced_page for segment in table.segments)
    page_bytes = core.layout.segment_bytes // core.layout.segment_pages
    return StoreStats(
        counts=counts,
        engine=core.device.engine.stats(),
        state=state,
        reason=reason,
        blocks=len(index),
        max_blocks=index.max_blocks,
        blocks_unread=index.n_unread(),
        live_bytes=sum(index.live_bytes(segment.number) for segment in table.segments),
        unflushed_bytes=pages * page_bytes,
        disk_bytes=disk_bytes(core, locked),
        limit_bytes=core.layout.limit_bytes,
        index_bytes=index.n_bytes(),
        pool_bytes=core.pool.held_bytes,
        segments_free=states.count(State.FREE),
        segments_bad=states.count(State.BAD),
        segments_total=len(states),
        strays=len(core.strays),
        durable_sequence=core.durable_sequence,
    )


def disk_bytes(core: Core, locked: bool) -> int:
    """Return the lengths of all files of a store, as it believes them to be."""
    page_bytes = core.layout.segment_bytes // core.layout.segment_pages
    snapshots = core.snapshot_bytes + core.snapshot_temp_bytes
    segments = sum(segment.n_pages for segment in core.table.segments) * page_bytes
    return segments + snapshots + (LOCK_BYTES if locked else 0)
