"""Open all tiers for a model, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.tiering.unified_tier import ServedModel, UnifiedTier, UnifiedTierConfig


@contextmanager
def serving(model: ServedModel, **settings: object) -> Iterator[UnifiedTier]:
    with UnifiedTier(UnifiedTierConfig(**settings)) as tiers:
        tiers.serve(model)
        yield tiers


def on_disk(folder: Path, **settings: object) -> dict[str, object]:
    """Return the settings of a small store in a folder."""
    return {"ssd_folder": folder / "store", "ssd_bytes": "256 MiB"} | settings
