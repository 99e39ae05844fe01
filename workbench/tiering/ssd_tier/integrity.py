"""Check a whole store: every block, every bound, every byte on disk.

Follows: a `check` that is part of the interface, so that every test can end with it.
Leaves out: repair; what is damaged is forgotten, as any read of it would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.layout import is_ours
from workbench.tiering.ssd_tier.lookup import look_up
from workbench.tiering.ssd_tier.segments import FIRST_PAGE
from workbench.tiering.ssd_tier.stats import disk_bytes

_BLOCKS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found; a store without problems is sound."""

    blocks: int
    bad_blocks: int
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Return whether nothing was found."""
        return not self.problems


def check_store(
    core: Core, locked: bool, on_blocks: Callable[[int], None] | None = None
) -> CheckReport:
    """Read every block and compare every sum and bound; each block has the read deadline.

    Cost    reads everything that is stored.
    """
    problems = _bounds(core) + _bytes(core, locked) + _sums(core)
    keys = core.index.keys()
    n_bad = 0
    for start in range(0, len(keys), _BLOCKS_AT_ONCE):
        some = keys[start : start + _BLOCKS_AT_ONCE]
        deadline = core.deadline(core.config.read_deadline_s)
        n_bad += look_up(core, some, [None] * len(some), deadline).count(None)
        if on_blocks is not None:
            on_blocks(start + len(some))
    if n_bad:
        problems.append(f"{n_bad} of {len(keys)} blocks could not be loaded: each is a miss")
    return CheckReport(len(keys), n_bad, tuple(problems))


def _bounds(core: Core) -> list[str]:
    problems = []
    core.index.check()
    for segment in core.table.segments:
        end = FIRST_PAGE
        for key, entry in core.index.in_segment(segment.number):
            pages = entry.n_bytes * core.layout.segment_pages // core.layout.segment_bytes
            if entry.page < end or entry.page + pages > segment.end_page:
                problems.append(f"segment {segment.number}: block {key.hex()} lies out of bounds")
            end = entry.page + pages
        if not FIRST_PAGE <= segment.synced_page <= segment.end_page < core.layout.segment_pages:
            problems.append(f"segment {segment.number}: ends at page {segment.end_page}")
    return problems


def _bytes(core: Core, locked: bool) -> list[str]:
    folder = core.device.folder
    try:
        on_disk = sum(folder.size(name) for name in folder.names() if is_ours(name))
    except StorageError as error:
        return [str(error)]
    believed, limit = disk_bytes(core, locked), core.layout.limit_bytes
    problems = []
    if on_disk != believed:
        problems.append(f"{on_disk} bytes are on disk, {believed} are accounted for")
    if on_disk > min(limit, core.config.capacity_bytes):
        problems.append(f"{on_disk} bytes are on disk, at most {limit} may be")
    return problems


def _sums(core: Core) -> list[str]:
    counts = core.counters.read()
    misses = counts.misses_absent + counts.misses_damaged + counts.misses_failed
    misses += counts.misses_late + counts.misses_refused + counts.misses_foreign
    misses += counts.misses_sealed
    puts = counts.puts_written + counts.puts_unchanged + counts.puts_not_admitted
    puts += counts.puts_too_large + counts.puts_failed + counts.puts_refused
    sums = (
        ("hits + misses", counts.hits + counts.misses, "lookups", counts.lookups),
        ("misses by cause", misses, "misses", counts.misses),
        ("puts by outcome", puts, "puts", counts.puts),
    )
    return [f"{a} = {n}, {b} = {m}" for a, n, b, m in sums if n != m]
