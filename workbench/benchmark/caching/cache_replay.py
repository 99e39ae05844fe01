"""Replay a trace through the real cache: real bytes in memory and on a real disk.

Every block holds bytes that follow from its id, and whatever is found again is compared with them,
so that a hit is a hit of the right bytes. A toy geometry keeps a block at one page.

Follows: tier_simulation.py, request for request; its counts have to come out.
Leaves out: time. After each request the cache writes what it has to, so that counts depend on no
race; how fast it is has measurements of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark.caching.tier_simulation import Tiers, simulate_tiers
from workbench.benchmark.caching.trace import Trace
from workbench.benchmark.progress import track
from workbench.benchmark.scratch_files import scratch_folder
from workbench.tiering import eviction, write_policy
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import CacheConfig, CachedSequence, TieredKVCache
from workbench.tiering.tiered_kv_cache.block_key import BlockKeys

GEOMETRY = KVGeometry(layers=2, kv_heads=1, head_dim=16, dtype="float16")
BLOCK_TOKENS = 16
FINGERPRINT = b"replay"
_MIB = 1 << 20
_FRAME_ON_DISK_BYTES = 2 * 4096  # a page of header, a page of values
_DRAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What the real cache counted, in blocks.

    Attributes
    ----------
    hits : int64[n_requests]   leading blocks found in either tier, by request
    n_hot, n_cold : int        of these, in memory and on the SSD
    n_written : int            blocks written to the SSD
    n_compared : int           tokens found again whose every value was compared
    n_wrong : int              of these, with a wrong value
    block_bytes : int          bytes of a block
    """

    hits: NDArray[np.int64]
    n_hot: int
    n_cold: int
    n_written: int
    n_compared: int
    n_wrong: int
    block_bytes: int


def compare(trace: Trace, ways: Sequence[Tiers], store: Path) -> pl.DataFrame:
    """Send a trace through simulation and cache in several ways: one row a way, side by side.

    Raises
    ------
    UsageError   for an unknown policy or too little memory

    Cost    about 1 s for 200 requests of 23 blocks, a way.
    """
    keys = block_keys(trace)
    rows = []
    for way in track(ways, "replays"):
        simulated = simulate_tiers(trace, way, keys)
        needed_bytes = _ssd_config(way.ssd_blocks).capacity_bytes
        with scratch_folder(store, "replay", needed_bytes) as folder:
            real = replay(trace, way, folder)
        counted = {
            "in memory": (int(simulated.hot_hits.sum()), real.n_hot),
            "on the SSD": (int(simulated.cold_hits.sum()), real.n_cold),
            "written": (simulated.n_written, real.n_written),
        }
        equal = np.array_equal(simulated.hits, real.hits)
        rows.append(
            {"eviction": way.policy, "writes": way.write}
            | {f"{what}: simulated / real": f"{a:,} / {b:,}" for what, (a, b) in counted.items()}
            | {
                "equal": equal and all(a == b for a, b in counted.values()),
                "tokens compared": real.n_compared,
                "wrong": real.n_wrong,
            }
        )
    return pl.DataFrame(rows)


def ways_for(trace: Trace) -> list[Tiers]:
    """Return a few ways to run tiers of which memory is far too small for a trace, the SSD is not.

    Its segments are reclaimed as a whole, which the simulation leaves out.
    """
    longest = int(np.diff(trace.starts).max(initial=1))
    ram_blocks, ssd_blocks = max(40, longest + 1), trace.n_distinct
    return [
        Tiers(ram_blocks, ssd_blocks, policy, write)
        for policy, write in (
            ("lru", "write_through"),
            ("lru", "write_back"),
            ("arc", "selective"),
            ("s3_fifo", "write_through"),
        )
    ]


def replay(trace: Trace, tiers: Tiers, store: Path) -> ReplayOutcome:
    """Serve every request of a trace.

    Parameters
    ----------
    store : Path   empty folder on the disk to use; left full

    Raises
    ------
    UsageError   for an unknown policy or too little memory

    Cost    about 1 ms a request and 0.1 ms a block.
    """
    config = _config(tiers)
    with (
        SsdTier.open(store, _ssd_config(tiers.ssd_blocks)) as ssd,
        TieredKVCache(config, ssd, fingerprint=FINGERPRINT) as cache,
    ):
        served = [_serve(cache, request) for request in trace]
        cache.check()
        stats = cache.stats()
        block_bytes = cache.layout.block_bytes
    return ReplayOutcome(
        np.array([n_hits for n_hits, _ in served], np.int64),
        stats.hot_hits,
        stats.cold_hits,
        stats.ssd_written_bytes // block_bytes,
        stats.hot_hits * BLOCK_TOKENS + stats.cold_hits * BLOCK_TOKENS,
        sum(n_wrong for _, n_wrong in served),
        block_bytes,
    )


def block_keys(trace: Trace) -> dict[int, bytes]:
    """Return the key that the cache of `replay` gives each block."""
    layout = CacheConfig(GEOMETRY, hot_bytes=1, block_tokens=BLOCK_TOKENS).layout
    keys = BlockKeys(layout, fingerprint=FINGERPRINT)
    return {
        block_id: key
        for request in trace
        for block_id, key in zip(request.tolist(), keys.chain(_token_ids(request)), strict=True)
    }


def _token_ids(request: NDArray[np.int64]) -> list[int]:
    token_ids: list[int] = np.repeat(request, BLOCK_TOKENS).tolist()
    return token_ids


def _config(tiers: Tiers) -> CacheConfig:
    layout_only = CacheConfig(GEOMETRY, hot_bytes=1, block_tokens=BLOCK_TOKENS)
    return CacheConfig(
        GEOMETRY,
        # One slot more than blocks, as the simulation has it.
        hot_bytes=(tiers.ram_blocks + 1) * layout_only.layout.block_bytes,
        block_tokens=BLOCK_TOKENS,
        policy=lambda capacity_blocks: eviction.create(tiers.policy, capacity_blocks),
        write=lambda: write_policy.create(tiers.write),
        high_watermark_frac=1.0,
        low_watermark_frac=1.0,
        staging_bytes=_MIB,
        write_queue_blocks=1 << 16,
        write_wait_s=_DRAIN_S,
    )


def _ssd_config(ssd_blocks: int) -> SsdTierConfig:
    capacity_bytes = max(64 * _MIB, 3 * ssd_blocks * _FRAME_ON_DISK_BYTES)
    return SsdTierConfig(capacity_bytes, segment_bytes=4 * _MIB, max_blocks=2 * ssd_blocks)


def _serve(cache: TieredKVCache, request: NDArray[np.int64]) -> tuple[int, int]:
    """Return the leading blocks that were found, and the tokens among them with a wrong value."""
    token_ids = _token_ids(request)
    load = cache.load(token_ids)
    n_known = load.wait()
    with load.sequence as sequence:
        n_wrong = _wrong_tokens(sequence, request[: n_known // BLOCK_TOKENS])
        if n_known < len(token_ids):
            k, v = _values(request[n_known // BLOCK_TOKENS :])
            sequence.append(token_ids[n_known:], k, v)
    cache.drain(_DRAIN_S)
    return n_known // BLOCK_TOKENS, n_wrong


def _values(block_ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return keys and values that follow from block and place, whole numbers that float16 holds."""
    n_tokens = len(block_ids) * BLOCK_TOKENS
    shape = (n_tokens, GEOMETRY.layers, GEOMETRY.kv_heads, GEOMETRY.head_dim)
    token = np.repeat(block_ids, BLOCK_TOKENS) * 31 + np.arange(n_tokens) % BLOCK_TOKENS
    place = np.arange(np.prod(shape[1:])).reshape(shape[1:])
    k = (token[:, None, None, None] * 7 + place) % 2039
    return np.ascontiguousarray(k, np.float32), np.ascontiguousarray(2039 - k, np.float32)


def _wrong_tokens(sequence: CachedSequence, block_ids: NDArray[np.int64]) -> int:
    n_tokens = len(block_ids) * BLOCK_TOKENS
    k, v = _values(block_ids)
    wrong = np.zeros(n_tokens, bool)
    for layer in range(GEOMETRY.layers):
        for found, expected in zip(sequence.gather(layer, 0, n_tokens), (k, v), strict=True):
            wrong |= (found != expected[:, layer]).any(axis=(1, 2))
    return int(wrong.sum())
