"""Open what lies below memory: the folder's store, sealed or not, and the network.

Follows: one store a folder, for any models and tenants; a wrong key or password is refused here,
a server that is not there is only misses.
Leaves out: the cache above them, which needs a model (tier.py).
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from workbench.tiering.async_io.engine import Engine
from workbench.tiering.distributed_tier import NetworkTier
from workbench.tiering.encryption import StoreSealing, find_master_key
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.unified_tier.config import UnifiedTierConfig
from workbench.tiering.unified_tier.ram_plan import RamPlan


class LowerTiers(NamedTuple):
    """What is there; ``tenant`` is the secret that its blocks' keys are made with."""

    ssd: SsdTier | None
    network: NetworkTier | None
    tenant: bytes


def open_lower(
    config: UnifiedTierConfig,
    plan: RamPlan,
    stack: contextlib.ExitStack,
    engine: Engine | None = None,
) -> LowerTiers:
    """Open them; the stack closes them.

    Raises
    ------
    UsageError         if the key is no good, or a size is out of range
    StorageError       if the folder cannot be opened, such as while another process has it
    NetworkTierError   if the server refuses us
    """
    ssd = network = sealing = None
    if config.ssd_folder is not None:
        master = find_master_key(config.key)
        sealing = None if master is None else StoreSealing(master)
        store = config.ssd_config(plan.pool_bytes)
        ssd = stack.enter_context(SsdTier.open(config.ssd_folder, store, engine, sealing=sealing))
    if config.network_url is not None:
        network = stack.enter_context(NetworkTier.open(config.network_config()))
    # Of a plain folder a tenant's secret is its name.
    secret = (
        config.tenant.encode() if sealing is None else sealing.tenant(config.tenant).secret.reveal()
    )
    return LowerTiers(ssd, network, secret)
