"""Small caches on simulated disks, and tokens whose keys and values follow from their prefix."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from kernels import block_quantize
from tests.torture.stores import open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.fault_io import FaultFolder, FaultIO
from workbench.tiering.async_io.faults import Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import (
    BlockLostError,
    CacheConfig,
    CachedSequence,
    TieredKVCache,
)

LAYERS, HEADS, HEAD_DIM = 5, 2, 4
SIZE = 4  # tokens a block
GEOMETRY = KVGeometry(LAYERS, HEADS, HEAD_DIM, "float16")
# Three frames of one page each.
BLOCK_BYTES = 3 * 4096
STORE = SsdTierConfig(
    capacity_bytes=6 << 20,
    segment_bytes=256 << 10,
    max_blocks=1000,
    flush_every_s=None,
    read_deadline_s=1.0,
    write_deadline_s=1.0,
)


def config(n_slots: int = 8, dtype: str = "float16", **changes: object) -> CacheConfig:
    """Return the configuration of a cache of so many slots."""
    small = CacheConfig(
        replace(GEOMETRY, dtype=dtype),
        hot_bytes=n_slots * BLOCK_BYTES,
        block_tokens=SIZE,
        frame_layers=2,
        staging_bytes=8 * 4096,
        write_wait_s=5.0,
    )
    return replace(small, **changes)  # type: ignore[arg-type]


@contextmanager
def ssd_on(disk: SimDisk, settings: SsdTierConfig = STORE) -> Iterator[tuple[SsdTier, Faults]]:
    """Open the store of a simulated disk; calls go wrong by the rules that are added."""
    clock = VirtualClock()
    faults = Faults(seed=1)
    engine = FaultIO(disk, faults, clock)
    with open_small(FaultFolder(disk, faults), engine, settings, clock) as tier:
        yield tier, faults
        faults.clear()
        engine.release()


@contextmanager
def cache_on(
    disk: SimDisk, settings: CacheConfig | None = None
) -> Iterator[tuple[TieredKVCache, Faults]]:
    """Open a cache on the store of a simulated disk."""
    with (
        ssd_on(disk) as (tier, faults),
        TieredKVCache(settings or config(), tier, fingerprint=b"toy") as cache,
    ):
        yield cache, faults
        cache.check()


def values_of(token_ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys and values of tokens, float32[n, layers, heads, head_dim] each.

    As a model's do, they follow from all tokens up to each one. float16 holds them exactly.
    """
    n_bytes = 2 * LAYERS * HEADS * HEAD_DIM
    prefix, rows = hashlib.shake_256(), []
    for token in token_ids:
        prefix.update(int(token).to_bytes(4, "little"))
        rows.append(np.frombuffer(prefix.copy().digest(n_bytes), np.int8))
    shape = (len(rows), 2, LAYERS, HEADS, HEAD_DIM)
    values = np.array(rows, np.float32).reshape(shape) / 16
    return np.ascontiguousarray(values[:, 0]), np.ascontiguousarray(values[:, 1])


def kept(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return what is left of values once they were kept in a dtype, as float32."""
    if dtype != "int8":
        return values.astype(dtype).astype(np.float32)
    n_values, n_scales = values.size, values.size // values.shape[-1]
    tokens = np.ascontiguousarray(values.reshape(1, 1, -1, values.shape[-1]))
    slab = np.zeros((1, 2 * (n_values + 2 * n_scales)), np.uint8)
    places = np.array([[0, n_values, 2 * n_values, 2 * (n_values + n_scales)]], np.int64)
    zero = np.zeros(1, np.int64)
    block_quantize.KERNEL.reference(slab, zero, zero, places, tokens, tokens)
    whole = slab[0, :n_values].view(np.int8).reshape(values.shape)
    scales = slab[0, 2 * n_values : 2 * (n_values + n_scales)].view(np.float16)
    return whole * scales.astype(np.float32).reshape(*values.shape[:-1], 1)


def append(sequence: CachedSequence, token_ids: Sequence[int]) -> None:
    """Append tokens with the values that follow from the sequence's prefix."""
    known = sequence.token_ids
    k, v = values_of([*known, *token_ids])
    n = len(known)
    sequence.append(token_ids, np.ascontiguousarray(k[n:]), np.ascontiguousarray(v[n:]))


def assert_right(
    sequence: CachedSequence, start: int = 0, stop: int | None = None, dtype: str = "float16"
) -> None:
    """Assert that a range of every layer holds what was stored, bit for bit."""
    stop = sequence.n_tokens if stop is None else stop
    k, v = (kept(side[start:stop], dtype) for side in values_of(sequence.token_ids))
    for layer in range(LAYERS):
        got_k, got_v = sequence.gather(layer, start, stop)
        np.testing.assert_array_equal(got_k, k[:, layer], strict=True)
        np.testing.assert_array_equal(got_v, v[:, layer], strict=True)


def assert_right_or_lost(sequence: CachedSequence) -> bool:
    """Assert that a sequence is right, or cut to what is; return whether it is whole."""
    before = sequence.n_tokens
    for _ in range(before):
        with contextlib.suppress(BlockLostError):
            assert_right(sequence)
            break
    # A block is lost as a whole, with all that comes after it.
    assert sequence.n_tokens == before or sequence.n_tokens % SIZE == 0
    return sequence.n_tokens == before


def store_prefix(disk: SimDisk, token_ids: Sequence[int], dtype: str = "float16") -> None:
    """Leave a persisted sequence on a disk."""
    with cache_on(disk, config(dtype=dtype)) as (cache, _), cache.sequence() as sequence:
        append(sequence, token_ids)
        assert sequence.persist()
