"""A machine that has never seen a prefix: an empty SSD tier and cache, beside a network tier.

Follows: what `workbench generate --cache --network` opens; each question gets a machine of its own,
so that what it is spared comes over the network and from nowhere else.
Leaves out: the network tier's server, and what is asked.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from workbench.inference.llama import LlamaModel
from workbench.tiering.distributed_tier import NetworkTier
from workbench.tiering.memory import MIB
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import CacheConfig, TieredKVCache
from workbench.tiering.unified_tier.session import Session

_SPARE_BLOCKS = 4
_SEGMENT_BYTES = 16 * MIB
_KEEP_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a machine answered, and how soon.

    Attributes
    ----------
    ttft_s : float            from the question to the first logits
    resumed_tokens : int      of the prompt that were not computed
    brought_blocks : int      that came over the network
    token_ids : tuple         the most likely continuation
    digest : str              SHA-256 of all logits, bit by bit
    """

    ttft_s: float
    resumed_tokens: int
    brought_blocks: int
    token_ids: tuple[int, ...]
    digest: str


@contextmanager
def fresh_machine(
    model: LlamaModel, folder: Path, n_tokens: int, network: NetworkTier | None
) -> Iterator[TieredKVCache]:
    """Open a cache for so many tokens over an empty SSD tier; remove both in the end.

    Raises
    ------
    StorageError, UsageError   as the tiers raise them

    Cost    about 20 ms, most of it for the SSD tier's files.
    """
    config = CacheConfig(model.kv_geometry("float16"), 1)
    n_blocks = -(-n_tokens // config.block_tokens) + _SPARE_BLOCKS
    n_bytes = n_blocks * config.layout.block_bytes
    config = CacheConfig(
        config.geometry,
        n_bytes,
        high_watermark_frac=1.0,
        low_watermark_frac=1.0,
        staging_bytes=8 * MIB,
        write_queue_blocks=2 * n_blocks,
    )
    capacity = (2 * n_bytes // _SEGMENT_BYTES + 4) * _SEGMENT_BYTES
    settings = SsdTierConfig(capacity, _SEGMENT_BYTES, pool_bytes=32 * MIB, flush_every_s=None)
    home = folder / "fresh-machine"
    try:
        with (
            SsdTier.open(home, settings) as ssd,
            TieredKVCache(config, ssd, fingerprint=model.fingerprint, network=network) as cache,
        ):
            yield cache
    finally:
        shutil.rmtree(home, ignore_errors=True)


def scratch_bytes(model: LlamaModel, n_tokens: int) -> int:
    """Return about the bytes that such a machine's SSD tier takes, never less."""
    return 4 * n_tokens * model.kv_geometry("float16").bytes_per_token + 256 * MIB


def ask(model: LlamaModel, cache: TieredKVCache, prompt: Sequence[int], n_tokens: int) -> Answer:
    """Answer a prompt with so many tokens, and share its blocks afterwards."""
    digest, token_ids = hashlib.sha256(), []
    with Session(model, cache) as session:
        start = perf_counter()
        logits = session.feed(prompt)
        ttft_s = perf_counter() - start
        for number in range(n_tokens):
            digest.update(np.ascontiguousarray(logits).tobytes())
            token_ids.append(int(logits.argmax()))
            if number + 1 < n_tokens:
                logits = session.feed(token_ids[-1:])
        resumed = session.resumed_tokens
        # What waits for the disk and the network is not to weigh on the next question.
        cache.drain(_KEEP_WAIT_S)
    return Answer(ttft_s, resumed, cache.brought_blocks, tuple(token_ids), digest.hexdigest())
