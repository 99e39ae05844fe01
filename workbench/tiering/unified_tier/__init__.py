"""One budget and one set of decisions over all tiers: the library's public entry point.

`tier.py` is the door, `config.py` what it is opened with, `session.py` what comes out of it.

    config = UnifiedTierConfig(ram_bytes="2 GiB", ssd_folder="store", ssd_bytes="50 GiB")
    with UnifiedTier(config) as tiers:
        tiers.serve(model)                          # anything that served_model.py describes
        with tiers.session("chat-1") as session:    # goes on where it ended, a restart ago too
            logits = session.feed(token_ids)
"""

from workbench.tiering.unified_tier.config import UnifiedTierConfig
from workbench.tiering.unified_tier.events import Event
from workbench.tiering.unified_tier.load_or_recompute import LoadOrRecompute, Way
from workbench.tiering.unified_tier.served_model import AdjustableWeights, ServedModel
from workbench.tiering.unified_tier.session import Session
from workbench.tiering.unified_tier.status import Health, Status, TierStatus
from workbench.tiering.unified_tier.tier import UnifiedTier

__all__ = [
    "AdjustableWeights",
    "Event",
    "Health",
    "LoadOrRecompute",
    "ServedModel",
    "Session",
    "Status",
    "TierStatus",
    "UnifiedTier",
    "UnifiedTierConfig",
    "Way",
]
