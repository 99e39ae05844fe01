"""Say how a cache is, in numbers, and in Prometheus' text format.

Follows: the seed report's words (sequence position, hot tokens, cold blocks, hits, evictions, SSD
bytes), then more; Prometheus exposition format 0.0.4.
Leaves out: the SSD tier's own numbers (ssd_tier/stats.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from workbench.tiering import exposition
from workbench.tiering.tiered_kv_cache.counts import WriteCounts

if TYPE_CHECKING:
    from workbench.tiering.tiered_kv_cache.core import Core

_PREFIX = "kv_cache"
_FIRST_GAUGE = "sequences"


@dataclass(frozen=True, slots=True)
class CacheStats:
    """One cache at one moment; counters since it was opened first, gauges after them.

    Attributes
    ----------
    lookups .. blocks_lost                            as `CacheCounts`
    blocks_sealed, blocks_duplicate                   full blocks named; those here already
    promotions, evictions, blocks_forgotten           as `DirectoryCounts`
    writes_offered                                    blocks to be written behind: the sum of ...
    writes_written, writes_failed, writes_dropped, writes_gone   ... these and writes_waiting
    cold_frames_read, cold_frames_reused              for attention: from the device; staged already
    ssd_written_bytes, ssd_read_bytes                 of whole blocks written; of frames read; as
                                                      the codec stores them
    cold_frames_undecoded                             read whole, but not what the codec writes
    cold_wait_seconds                                 that attention waited for cold blocks
    sequences, sequence_position                      open ones; their tokens
    hot_blocks, hot_tokens                            sealed and in memory
    hot_blocks_used                                   of them, what open sequences are made of; the
                                                      others are the prompt cache
    open_blocks, leaving_blocks, free_slots           being filled; waiting to be written; unused
    hot_capacity_blocks                               the high watermark
    writes_waiting                                    blocks in the writer's queue
    cold_blocks, cold_blocks_unread                   whole blocks' worth of frames on the SSD tier,
                                                      and those that were never read back
    hot_bytes, staging_bytes                          memory granted; taken
    """

    lookups: int
    hot_hits: int
    cold_hits: int
    network_hits: int
    misses_absent: int
    misses_failed: int
    misses_late: int
    blocks_lost: int
    blocks_sealed: int
    blocks_duplicate: int
    promotions: int
    evictions: int
    blocks_forgotten: int
    writes_offered: int
    writes_written: int
    writes_failed: int
    writes_dropped: int
    writes_gone: int
    cold_frames_read: int
    cold_frames_reused: int
    ssd_written_bytes: int
    ssd_read_bytes: int
    cold_frames_undecoded: int
    cold_wait_seconds: float
    sequences: int
    sequence_position: int
    hot_blocks: int
    hot_tokens: int
    hot_blocks_used: int
    open_blocks: int
    leaving_blocks: int
    free_slots: int
    hot_capacity_blocks: int
    writes_waiting: int
    cold_blocks: int
    cold_blocks_unread: int
    hot_bytes: int
    staging_bytes: int

    @property
    def misses(self) -> int:
        """Return the lookups that ended without the block's bytes, whatever the cause."""
        return self.misses_absent + self.misses_failed + self.misses_late

    @property
    def hits(self) -> int:
        """Return the lookups that ended with the block's bytes, wherever they were."""
        return self.hot_hits + self.cold_hits + self.network_hits

    @property
    def hit_rate(self) -> float:
        """Return hits over lookups, 0..1; 0 before the first lookup."""
        return self.hits / self.lookups if self.lookups else 0.0

    def check(self) -> None:
        """Assert that every lookup, and every block offered for writing, is counted once."""
        assert self.hits + self.misses == self.lookups, self
        ended = self.writes_written + self.writes_failed + self.writes_dropped + self.writes_gone
        assert ended + self.writes_waiting == self.writes_offered, self

    def prometheus(self) -> str:
        """Return all numbers as Prometheus text."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        names = list(values)
        first = names.index(_FIRST_GAUGE)
        lines = exposition.counters(_PREFIX, {name: values[name] for name in names[:first]})
        lines += exposition.gauges(_PREFIX, {name: values[name] for name in names[first:]})
        return exposition.page(lines)


def gather(core: Core) -> CacheStats:
    """Return a cache's numbers as they are at one moment."""
    directory, behind, size = core.directory, core.behind, core.layout.block_tokens
    with core.changed:
        writes = behind.writer.counts if behind else WriteCounts()
        return CacheStats(
            **asdict(core.counts),
            blocks_sealed=directory.counts.sealed,
            blocks_duplicate=directory.counts.duplicates,
            promotions=directory.counts.promotions,
            evictions=directory.counts.evictions,
            blocks_forgotten=directory.counts.forgotten,
            **{f"writes_{name}": count for name, count in asdict(writes).items()},
            cold_frames_read=behind.stagings.frames_read if behind else 0,
            cold_frames_reused=behind.stagings.frames_reused if behind else 0,
            ssd_written_bytes=behind.cold.written_bytes if behind else 0,
            ssd_read_bytes=behind.cold.read_bytes if behind else 0,
            cold_frames_undecoded=behind.cold.undecoded if behind else 0,
            cold_wait_seconds=behind.stagings.waited_s if behind else 0.0,
            sequences=len(core.sequences),
            sequence_position=sum(sequence.n_tokens for sequence in core.sequences),
            hot_blocks=directory.hot_blocks,
            hot_tokens=directory.hot_blocks * size,
            hot_blocks_used=directory.hot_blocks_used,
            open_blocks=directory.open_blocks,
            leaving_blocks=directory.leaving_blocks,
            free_slots=len(directory.slots),
            hot_capacity_blocks=directory.capacity_blocks,
            writes_waiting=behind.writer.n_waiting if behind else 0,
            cold_blocks=behind.cold.blocks if behind else 0,
            cold_blocks_unread=behind.cold.blocks_unread if behind else 0,
            hot_bytes=core.hot_bytes,
            staging_bytes=behind.stagings.nbytes if behind else 0,
        )
