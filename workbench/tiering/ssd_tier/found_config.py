"""Say with which sizes the store in a folder was made, for whoever was given only the folder.

Follows: docs/ssd_tier_format.md: segments are preallocated, so their files tell both sizes.
Leaves out: opening it (tier.py), which checks every header against these sizes.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mode

from workbench.errors import UsageError
from workbench.paths import shown
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.config import SsdTierConfig
from workbench.tiering.ssd_tier.layout import Layout, segment_number


def found_config(folder: Path) -> SsdTierConfig:
    """Return a configuration that opens the store in a folder and has room for all of its blocks.

    Its `max_blocks` is the most that the segments could hold, and `capacity_bytes` grows by that:
    an index is only as large as what is in it.

    Raises
    ------
    UsageError   if there is no segment in the folder
    """
    sizes = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if (number := segment_number(path.name)) is not None:
            sizes[number] = path.stat().st_size
    if not sizes:
        raise UsageError(
            f"{shown(folder)}: there is no store; give the folder that `generate --cache` names"
        )
    # A file that was cut short is outvoted by the others.
    segment_bytes = mode(sizes.values())
    n_segments, segment_pages = max(sizes) + 1, segment_bytes // PAGE_BYTES
    max_blocks = max(1, n_segments * segment_pages)
    layout = Layout(n_segments, segment_pages, max_blocks)
    return SsdTierConfig(layout.limit_bytes, segment_bytes, max_blocks, flush_every_s=None)
