"""Open all tiers for a model, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from workbench.tiering.unified_tier import ServedModel, UnifiedTier, UnifiedTierConfig


@contextmanager
def serving(model: ServedModel, **settings: object) -> Iterator[UnifiedTier]:
    with UnifiedTier(UnifiedTierConfig(**settings)) as tiers:
        tiers.serve(model)
        yield tiers


def on_disk(folder: Path, **settings: object) -> dict[str, object]:
    """Return the settings of a small store in a folder."""
    return {"ssd_folder": folder / "store", "ssd_bytes": "256 MiB"} | settings


def spoiled(folder: Path) -> bool:
    """Flip a byte in each page of the store's segments; return whether there were any."""
    files = [path for path in folder.iterdir() if path.stat().st_size > 1 << 20]
    for path in files:
        content = np.memmap(path, np.uint8, "r+")
        content[4096 + 100 :: 4096] ^= 1
        content.flush()
    return bool(files)
