"""Fill a sequence from both ends: compute from the front, load from the back, until they meet.

Follows: Cake (Jin et al., 2024): computing and loading use different parts of a machine, so near
the point where either takes as long as the other, both together take half.
Leaves out: whether it is worth it (load_or_recompute.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.tiering.tiered_kv_cache import CachedSequence, TieredKVCache
from workbench.tiering.unified_tier.served_model import ServedModel

# Tokens computed between two looks at what has been loaded: half a batch costs 2 % of its speed.
STEP_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Filled:
    """A sequence of all the tokens.

    Attributes
    ----------
    sequence : CachedSequence
    computed_tokens, loaded_tokens : int   together all of them
    computing_s : float                    the first ones
    loading_s, read_tokens                 what was read from below, in how many seconds
    """

    sequence: CachedSequence
    computed_tokens: int
    loaded_tokens: int
    computing_s: float
    loading_s: float
    read_tokens: int


def fill_from_both_ends(
    model: ServedModel,
    cache: TieredKVCache,
    token_ids: Sequence[int],
    step_tokens: int = STEP_TOKENS,
) -> Filled:
    """Return a sequence of tokens, each computed or loaded, whichever came first.

    Raises
    ------
    As the model's `prefill`; nothing is kept open then.
    """
    sequence = cache.sequence()
    n_loaded, computing_s = 0, 0.0
    try:
        with cache.backfill(token_ids) as back:
            while sequence.n_tokens < len(token_ids):
                n_loaded += sequence.attach(token_ids[sequence.n_tokens :])
                step = token_ids[sequence.n_tokens :][:step_tokens]
                if step:
                    start = time.perf_counter()
                    model.prefill(step, sequence)
                    computing_s += time.perf_counter() - start
    except BaseException:
        sequence.close()
        raise
    n_computed = len(token_ids) - n_loaded
    n_read = back.loaded_blocks * cache.layout.block_tokens
    return Filled(sequence, n_computed, n_loaded, computing_s, back.loading_s, n_read)
