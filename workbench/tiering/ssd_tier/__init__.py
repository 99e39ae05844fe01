"""A block store on preallocated files: log-structured, checksummed, bounded, crash-safe.

`tier.py` is the door. `frame.py`, `segment_header.py` and `snapshot.py` say what is on disk
(docs/ssd_tier_format.md draws it); `writer.py`, `durability.py`, `rooms.py` and `recovery.py` are
what keeps it right. Nothing here knows tokens or models: keys are 32 bytes, values are bytes.
"""

from workbench.tiering.ssd_tier.config import SsdTierConfig
from workbench.tiering.ssd_tier.errors import (
    StoreDamagedError,
    StoreForkedError,
    StoreGeometryError,
    StoreInUseError,
    StoreRolledBackError,
    StoreSealedError,
    StoreVersionError,
)
from workbench.tiering.ssd_tier.found_config import found_config
from workbench.tiering.ssd_tier.frame import Attributes
from workbench.tiering.ssd_tier.integrity import CheckReport
from workbench.tiering.ssd_tier.pin import Pin
from workbench.tiering.ssd_tier.reading import Frame
from workbench.tiering.ssd_tier.stats import StoreStats
from workbench.tiering.ssd_tier.tier import SsdTier

__all__ = [
    "Attributes",
    "CheckReport",
    "Frame",
    "Pin",
    "SsdTier",
    "SsdTierConfig",
    "StoreDamagedError",
    "StoreForkedError",
    "StoreGeometryError",
    "StoreInUseError",
    "StoreRolledBackError",
    "StoreSealedError",
    "StoreStats",
    "StoreVersionError",
    "found_config",
]
