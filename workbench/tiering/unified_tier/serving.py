"""Take memory for one model: its cache, its share of the budget, its named sessions.

Follows: weights have what they need where that leaves KV its least; else both get a part, and the
split moves from there (balance.py).
Leaves out: sessions themselves (session.py), the tiers below (lower_tiers.py).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial

from workbench.errors import UsageError
from workbench.tiering import eviction, write_policy
from workbench.tiering.tiered_kv_cache import BlockLayout, CacheConfig, TieredKVCache
from workbench.tiering.unified_tier.balance import Balance, granted_to_weights
from workbench.tiering.unified_tier.config import UnifiedTierConfig
from workbench.tiering.unified_tier.load_or_recompute import Always, LoadOrRecompute, Way
from workbench.tiering.unified_tier.lower_tiers import LowerTiers
from workbench.tiering.unified_tier.ram_plan import RamPlan, bytes_of_tokens
from workbench.tiering.unified_tier.served_model import AdjustableWeights, ServedModel
from workbench.tiering.unified_tier.session_book import SessionBook
from workbench.tiering.unified_tier.split import Split

# KV's least, whatever its share: a batch of tokens is computed at once.
_LEAST_BLOCKS = 8
# Memory moves between weights and KV in such parts of what they share.
_STEPS = 16


@dataclass(frozen=True, slots=True)
class Serving:
    """One model and what is kept for it.

    Attributes
    ----------
    book : SessionBook or None   None: there is no folder for named sessions
    chooser : LoadOrRecompute    says how a cold prefix is got
    balance : Balance or None    None: the model has no budget for its weights, or there is none
    """

    model: ServedModel
    cache: TieredKVCache
    book: SessionBook | None
    chooser: LoadOrRecompute
    balance: Balance | None


def begin_serving(
    model: ServedModel,
    config: UnifiedTierConfig,
    plan: RamPlan,
    lower: LowerTiers,
    stack: contextlib.ExitStack,
) -> Serving:
    """Take the memory; the stack gives it back.

    Raises
    ------
    UsageError   if the budget is too small for the model
    """
    layout = BlockLayout(model.kv_geometry(config.dtype))
    split = _begin_split(model, config, plan, layout)
    names = {"fingerprint": model.fingerprint, "tenant": lower.tenant}
    cache = stack.enter_context(
        TieredKVCache(
            _cache_config(config, plan, layout, split), lower.ssd, network=lower.network, **names
        )
    )
    model.use_cache(cache.layout)
    balance = None
    if split is not None and plan.shared_bytes is not None:
        assert isinstance(model, AdjustableWeights)
        balance = Balance(model, cache, split, plan.shared_bytes)
    book = None if lower.ssd is None else SessionBook(lower.ssd, **names)
    per_token = layout.geometry.bytes_per_token
    is_adaptive = config.resume == "adaptive"
    chooser = LoadOrRecompute(per_token) if is_adaptive else Always(per_token, Way.LOAD)
    return Serving(model, cache, book, chooser, balance)


def _begin_split(
    model: ServedModel, config: UnifiedTierConfig, plan: RamPlan, layout: BlockLayout
) -> Split | None:
    """Divide memory for a start; None: weights have no budget, so KV has all that is shared."""
    shared = plan.shared_bytes
    if shared is None or not isinstance(model, AdjustableWeights):
        return None
    size = layout.block_bytes
    least = max(int(shared * config.kv_min_frac), _LEAST_BLOCKS * size)
    if least > shared:
        raise UsageError(
            f"{shared:,} bytes of ram_bytes are left for weights and KV, which alone needs "
            f"{least:,} ({_LEAST_BLOCKS} blocks); raise it"
        )
    # What weights could not use is KV's, whatever its share.
    beside = shared - model.weights_bytes
    most = max(int(shared * config.kv_max_frac), least, beside)
    split = Split(least, most, beside, max(size, shared // _STEPS))
    weights = min(shared - split.kv_bytes, model.weights_bytes)
    if granted_to_weights(model) != weights:
        model.set_weights_budget(weights)
    return split


def _cache_config(
    config: UnifiedTierConfig, plan: RamPlan, layout: BlockLayout, split: Split | None
) -> CacheConfig:
    shared = plan.shared_bytes
    alone = bytes_of_tokens(layout, config.hot_tokens) if shared is None else shared
    return CacheConfig(
        layout.geometry,
        alone if split is None else split.kv_bytes,
        max_hot_bytes=None if split is None else split.most_bytes,
        policy=partial(eviction.create, config.eviction),
        write=partial(write_policy.create, config.write),
        codec=config.codec,
        staging_bytes=plan.staging_bytes or 1,
    )
