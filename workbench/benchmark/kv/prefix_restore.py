"""Hold the KV cache's load of a cold prefix, every checksum verified, against fio.

Follows: the real model's fp16 KV in blocks of 64 tokens, read in frames of half its layers straight
into the hot slab; fio reads requests as large as one frame, as deep.
Leaves out: the SSD tier alone (sequence_restore.py), and what attention does with the layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from workbench.benchmark.paired import Case
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_files, scratch_folder
from workbench.benchmark.storage import beside_fio
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.device_watch import DeviceWatch
from workbench.benchmark.storage.fio import FioJob
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.async_io.real_files import RealFiles
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.frame import frame_pages
from workbench.tiering.tiered_kv_cache import BlockLayout, CacheConfig, TieredKVCache

DEPTH = 32
# SmolLM2-135M at fp16.
GEOMETRY = KVGeometry(layers=30, kv_heads=3, head_dim=64, dtype="float16")
LAYOUT = BlockLayout(GEOMETRY)

# Case name: load until every layer is in the hot slab.
LOADED = "load into the hot slab"

_MIB = 1 << 20
_SEGMENT_BYTES = 32 * _MIB


@dataclass(frozen=True, slots=True)
class PrefixPlan:
    """Tokens of the prefix, rounds, and how long fio and a sample of ours last."""

    tokens: int
    rounds: int
    run_ms: int

    @property
    def n_blocks(self) -> int:
        """Return the blocks of the prefix."""
        return self.tokens // LAYOUT.block_tokens


@dataclass(frozen=True, slots=True)
class PrefixRestore:
    """What `measure` found.

    Attributes
    ----------
    kind : str                engine that was chosen
    request_kib : int         of one frame with its header, as fio reads them
    beside : BesideFio        rounds of `LOADED` beside fio's
    first_layer_frac : float  0..1; median part of a load's time until the first layer was there
    """

    kind: str
    request_kib: int
    beside: BesideFio
    first_layer_frac: float


def measure(store: Path, plan: PrefixPlan, seed: int = 0) -> PrefixRestore:
    """Store two prefixes and load one after the other, each pushing the other out of memory.

    Every value is compared with what was stored once, before the timing; later ones by the SSD
    tier's own checksums.

    Raises
    ------
    MediumError   if the device was not proven to be reached, or a block was missed or wrong
    FioError      if fio is missing or fails

    Cost    ``(rounds + 1) * (3 * run_ms + 0.4 s)`` and a few hundred MB written.
    """
    n_bytes = plan.n_blocks * LAYOUT.block_bytes
    request_kib = frame_pages(LAYOUT.frame_bytes) * PAGE_BYTES >> 10
    # As large as the sequence, so that fio moves over as much of the device.
    scratch_bytes = max(n_bytes, DEPTH * request_kib << 10) // _MIB * _MIB + _MIB
    with (
        scratch_files(store, {"ceiling": scratch_bytes}, seed) as files,
        scratch_folder(store, "prefixes", _capacity(2 * n_bytes)) as folder,
        open_engine("auto", depth=DEPTH) as engine,
        _opened(folder, engine, plan) as cache,
    ):
        loader = _Loader(cache, plan, seed)
        watches = [
            DeviceWatch("segment", engine, engine.open(path, writable=False))
            for path in sorted(folder.glob("segment-*"))
        ]
        loader.compare()
        for watch in watches:
            watch.chill()
        case = loader.case(plan.run_ms / 1000)
        job = FioJob("read", request_kib, DEPTH, plan.run_ms)
        with meter("restore of a prefix", plan.rounds) as on_round:
            beside = beside_fio.measure([case], files["ceiling"].path, job, plan.rounds, on_round)
        for watch in watches:
            watch.conclude()
            watch.demand()
        first = float(np.median(loader.first_layer_fracs))
        return PrefixRestore(engine.kind, request_kib, beside, first)


def _capacity(n_bytes: int) -> int:
    """Return room for the frames, what segments leave over, the index and one segment to spare."""
    return (n_bytes * 3 // 2 // _SEGMENT_BYTES + 4) * _SEGMENT_BYTES


@contextmanager
def _opened(folder: Path, engine: RealFiles, plan: PrefixPlan) -> Iterator[TieredKVCache]:
    """Open a cache whose memory holds one prefix, and no block more."""
    store = SsdTierConfig(
        capacity_bytes=_capacity(2 * plan.n_blocks * LAYOUT.block_bytes),
        segment_bytes=_SEGMENT_BYTES,
        flush_every_s=None,
    )
    config = CacheConfig(
        GEOMETRY,
        hot_bytes=(plan.n_blocks + 1) * LAYOUT.block_bytes,
        high_watermark_frac=1.0,
        low_watermark_frac=1.0,
        write_queue_blocks=2 * plan.n_blocks,
        write_wait_s=30.0,
    )
    with SsdTier.open(folder, store, engine) as tier, TieredKVCache(config, tier) as cache:
        yield cache


class _Loader:
    """Loads the two prefixes in turn, as often as a sample lasts."""

    def __init__(self, cache: TieredKVCache, plan: PrefixPlan, seed: int) -> None:
        """Store both prefixes.

        Raises
        ------
        MediumError   if one could not be stored
        """
        self._cache = cache
        self._n_bytes = plan.n_blocks * LAYOUT.block_bytes
        self._rng = np.random.default_rng([seed, plan.tokens])
        self._prefixes = [list(range(first, first + plan.tokens)) for first in (0, plan.tokens)]
        self._sums = [self._store(token_ids) for token_ids in self._prefixes]
        self._times = 1
        self.first_layer_fracs: list[float] = []

    def _store(self, token_ids: list[int]) -> list[float]:
        """Store one prefix of random values; return a sum over each layer."""
        shape = (len(token_ids), GEOMETRY.layers, GEOMETRY.kv_heads, GEOMETRY.head_dim)
        k, v = self._rng.standard_normal((2, *shape), dtype=np.float32).astype(np.float16)
        with self._cache.sequence() as sequence:
            sequence.append(token_ids, k, v)
        # Not `persist`, which would write what is being written behind a second time: some of it
        # had to leave the store again then.
        if not self._cache.drain():
            raise MediumError(
                f"a prefix of {len(token_ids)} tokens could not be written; check the disk"
            )
        return [_checksum(k[:, layer], v[:, layer]) for layer in range(GEOMETRY.layers)]

    def compare(self) -> None:
        """Load both prefixes and compare every value with what was stored.

        Raises
        ------
        MediumError   if one differs
        """
        for token_ids, sums in zip(self._prefixes, self._sums, strict=True):
            with self._cache.load(token_ids) as load:
                n_tokens = load.wait()
                layers = range(GEOMETRY.layers)
                found = [_checksum(*load.sequence.gather(n, 0, n_tokens)) for n in layers]
            if found != sums:
                raise MediumError(
                    f"{n_tokens} of {len(token_ids)} tokens came back, or others than were stored; "
                    "do not store anything on this disk, check it"
                )

    def case(self, seconds: float) -> Case:
        """Return the load of a cold prefix, each sample about so long."""
        self._times = max(1, round(seconds / self.run()))
        return Case(LOADED, self.run, float(self._times * self._n_bytes))

    def run(self) -> float:
        """Load the prefixes in turn and return the seconds.

        Raises
        ------
        MediumError   if a block was missed, or was not cold
        """
        before = self._cache.stats()
        seconds = 0.0
        for _ in range(self._times):
            start = perf_counter()
            load = self._cache.load(self._prefixes[0])
            load.wait(0)
            first_s = perf_counter() - start
            load.wait()
            taken_s = perf_counter() - start
            load.close()
            # The other one has just been pushed out.
            self._prefixes.reverse()
            seconds += taken_s
            self.first_layer_fracs.append(first_s / taken_s)
        after = self._cache.stats()
        n_read = (after.ssd_read_bytes - before.ssd_read_bytes) // self._n_bytes
        if after.misses != before.misses or n_read != self._times:
            raise MediumError(
                f"{after.misses - before.misses} blocks were missed, and {n_read} of {self._times} "
                "prefixes were read from the device; see `workbench doctor` about the disk"
            )
        return seconds


def _checksum(k: np.ndarray, v: np.ndarray) -> float:
    """Return a sum that tells every order and value apart, near enough."""
    weights = np.arange(1, k[0].size + 1, dtype=np.float64)
    rows = np.arange(1, len(k) + 1, dtype=np.float64)
    sides = [rows @ side.reshape(len(side), -1).astype(np.float64) @ weights for side in (k, v)]
    return float(sides[0] + 2 * sides[1])
