"""Divide one RAM budget: buffers of the tiers first, the rest is what weights and KV share.

Follows: every byte that the tiers may take is in one budget; a budget that is too small is refused
with what each part needs.
Leaves out: the interpreter, compiled kernels and the model's working memory, which are there
anyway; the SSD tier's index (in its status); moving memory between weights and KV (balance.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import UsageError
from workbench.tiering.tiered_kv_cache import BlockLayout
from workbench.tiering.unified_tier.config import MIB, UnifiedTierConfig
from workbench.tiering.unified_tier.sizes import shown_size

_STAGING_BYTES = 16 * MIB
_POOL_BYTES = 32 * MIB
# What the network tier keeps for blocks on their way, whatever its queue.
NETWORK_POOL_BYTES = 64 * MIB
# Buffers take no more than such a part of a small budget, each.
_PARTS = 8
# Blocks of hot memory without which a cache refuses to work comfortably.
_SPARE_BLOCKS = 4


@dataclass(frozen=True, slots=True)
class RamPlan:
    """The parts of the budget.

    Attributes
    ----------
    staging_bytes : int           through which cold blocks are attended
    pool_bytes : int              buffers of the SSD tier
    network_bytes : int           queue and buffers of the network tier
    shared_bytes : int or None    what weights and KV share; None: KV gets what hot_tokens need, and
                                  weights are not counted
    """

    staging_bytes: int
    pool_bytes: int
    network_bytes: int
    shared_bytes: int | None

    @classmethod
    def of(cls, config: UnifiedTierConfig) -> RamPlan:
        """Return the plan.

        Raises
        ------
        UsageError   if the network tier alone takes the whole budget
        """
        network = 0
        if config.network_url is not None:
            network = config.network_queue_bytes + NETWORK_POOL_BYTES
        has_ssd = config.ssd_folder is not None
        if config.ram_bytes is None:
            return cls(_STAGING_BYTES * has_ssd, _POOL_BYTES * has_ssd, network, None)
        left = config.ram_bytes - network
        if left < _PARTS:
            raise UsageError(
                f"ram_bytes={config.ram_bytes:,}: {shown_size(network)} of it are the network "
                "tier's queue and buffers, which leaves nothing; raise it, or lower "
                "network_queue_bytes"
            )
        staging = min(_STAGING_BYTES, left // _PARTS) * has_ssd
        pool = min(_POOL_BYTES, left // _PARTS) * has_ssd
        return cls(staging, pool, network, left - staging - pool)

    @property
    def buffers_bytes(self) -> int:
        """Return the bytes of everything but weights and KV."""
        return self.staging_bytes + self.pool_bytes + self.network_bytes


def bytes_of_tokens(layout: BlockLayout, n_tokens: int) -> int:
    """Return the hot memory that so many tokens need."""
    return (-(-n_tokens // layout.block_tokens) + _SPARE_BLOCKS) * layout.block_bytes
