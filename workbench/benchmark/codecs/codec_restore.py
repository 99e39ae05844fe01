"""Load one cold prefix through every codec, on the same disk, round by round.

Follows: prefix_restore.py: two prefixes push each other out of memory; every codec has a cache of
its own on one SSD tier, and its blocks are its own by their keys. Codecs come back as float16, but
for one more case: int8 that stays int8 in memory, where attention reads it as it is.
Leaves out: what is lost (codec_quality.py), fio (prefix_restore.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_folder
from workbench.benchmark.statistics import Ratio, bootstrap_ratio
from workbench.benchmark.storage.device_watch import DeviceWatch
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.async_io.real_files import RealFiles
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.memory import MIB
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import BlockLayout, CacheConfig, Load, TieredKVCache

# Not a codec's name: a cache whose blocks are int8 in memory and on the SSD alike.
KEPT_INT8 = "int8 in memory too"
DEPTH = 32
_SEGMENT_BYTES = 32 * MIB
# Of the values' root mean square; int4's is 0.13 at most. Nothing but damage is worse.
_MOST_ERROR = 0.25

Halves = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class CodecRestore:
    """What `measure` found: a case a codec; work in plain bytes.

    Attributes
    ----------
    read_bytes : dict   that one load reads from the device, by codec
    """

    samples: Samples
    read_bytes: dict[str, int]

    def time_ratio(self, name: str, baseline: str = "none") -> Ratio:
        """Return how many times the baseline's time a codec's load takes."""
        seconds = self.samples.seconds
        return bootstrap_ratio(seconds[name], seconds[baseline])


def measure(store: Path, k: Halves, v: Halves, names: Sequence[str], rounds: int) -> CodecRestore:
    """Store two prefixes through every codec, then load them in turn.

    Parameters
    ----------
    k, v : float16[n_tokens, layers, kv_heads, head_dim]   of whole blocks
    names : sequence of str                                codecs, and `KEPT_INT8`

    Raises
    ------
    MediumError   if the device was not proven to be reached, or a block was missed or wrong

    Cost    ``rounds + 1`` loads a codec, and every codec's two prefixes written.
    """
    _, layers, heads, head_dim = k.shape
    geometry = KVGeometry(layers, heads, head_dim, "float16")
    n_bytes = _prefix_bytes(BlockLayout(geometry), len(k))
    capacity = (len(names) * 3 * n_bytes // _SEGMENT_BYTES + 4) * _SEGMENT_BYTES
    with (
        scratch_folder(store, "codecs", capacity) as folder,
        open_engine("auto", depth=DEPTH) as engine,
        _opened(folder, engine, capacity, geometry, names, len(k)) as caches,
    ):
        loaders = {name: _Loader(cache, k, v) for name, cache in caches.items()}
        watches = [
            DeviceWatch("segment", engine, engine.open(path, writable=False))
            for path in sorted(folder.glob("segment-*"))
        ]
        for name, loader in loaders.items():
            loader.compare(is_exact=name in ("none", "lossless"))
        for watch in watches:
            watch.chill()
        cases = [Case(name, loader.run, float(n_bytes)) for name, loader in loaders.items()]
        with meter("restore by codec", rounds) as on_round:
            samples = interleave(cases, rounds, on_round)
        for watch in watches:
            watch.conclude()
            watch.demand()
        return CodecRestore(samples, {name: one.read_bytes for name, one in loaders.items()})


@contextmanager
def _opened(
    folder: Path,
    engine: RealFiles,
    capacity: int,
    geometry: KVGeometry,
    names: Sequence[str],
    n_tokens: int,
) -> Iterator[dict[str, TieredKVCache]]:
    settings = SsdTierConfig(capacity, _SEGMENT_BYTES, flush_every_s=None)
    with SsdTier.open(folder, settings, engine) as tier, ExitStack() as stack:
        caches = {}
        for name in names:
            is_kept = name == KEPT_INT8
            layout = BlockLayout(replace(geometry, dtype="int8") if is_kept else geometry)
            n_bytes = _prefix_bytes(layout, n_tokens)
            config = CacheConfig(
                layout.geometry,
                hot_bytes=n_bytes + layout.block_bytes,
                high_watermark_frac=1.0,
                low_watermark_frac=1.0,
                write_queue_blocks=2 * n_bytes // layout.block_bytes,
                write_wait_s=30.0,
                staging_bytes=8 * MIB,
                codec="none" if is_kept else name,
            )
            caches[name] = stack.enter_context(TieredKVCache(config, tier))
        yield caches


def _prefix_bytes(layout: BlockLayout, n_tokens: int) -> int:
    return n_tokens // layout.block_tokens * layout.block_bytes


class _Loader:
    """Two prefixes of the same values in one cache, of which memory holds one."""

    def __init__(self, cache: TieredKVCache, k: Halves, v: Halves) -> None:
        """Store both.

        Raises
        ------
        MediumError   if one could not be stored
        """
        self._cache, self._k, self._v = cache, k, v
        n = len(k)
        self._prefixes = [list(range(first, first + n)) for first in (0, n)]
        for token_ids in self._prefixes:
            with cache.sequence() as sequence:
                sequence.append(token_ids, k, v)
                if not sequence.persist():
                    raise MediumError(f"a prefix of {n} tokens could not be stored; check the disk")
        self.read_bytes = 0

    def compare(self, is_exact: bool) -> None:
        """Load both prefixes once and compare them with what was stored.

        Raises
        ------
        MediumError   if they differ by more than a codec can
        """
        for token_ids in self._prefixes:
            with self._cache.load(token_ids) as load:
                is_whole = load.wait() == len(self._k)
                layers = range(self._k.shape[1])
                if is_whole and all(self._is_right(load, layer, is_exact) for layer in layers):
                    continue
            raise MediumError(
                "a prefix came back shorter, or with other values than were stored; do not store "
                "anything on this disk, check it"
            )

    def _is_right(self, load: Load, layer: int, is_exact: bool) -> bool:
        got = load.sequence.gather(layer, 0, len(self._k))
        wanted = (self._k[:, layer], self._v[:, layer])
        return all(_is_near(one, other, is_exact) for one, other in zip(got, wanted, strict=True))

    def run(self) -> float:
        """Load one prefix, whole; the other one is cold then. Return the seconds.

        Raises
        ------
        MediumError   if a block was missed, or was not cold
        """
        before = self._cache.stats()
        start = perf_counter()
        with self._cache.load(self._prefixes[0]) as load:
            n_tokens = load.wait()
            seconds = perf_counter() - start
        self._prefixes.reverse()
        after = self._cache.stats()
        n_blocks = len(self._k) // self._cache.layout.block_tokens
        self.read_bytes = after.ssd_read_bytes - before.ssd_read_bytes
        if n_tokens != len(self._k) or after.cold_hits - before.cold_hits != n_blocks:
            raise MediumError(
                f"{n_tokens} of {len(self._k)} tokens came back, or not from the device; see "
                "`workbench doctor` about the disk"
            )
        return seconds


def _is_near(got: NDArray[np.float32], stored: Halves, is_exact: bool) -> bool:
    wanted = stored.astype(np.float32)
    if is_exact:
        return bool(np.array_equal(got, wanted))
    error = np.sqrt(np.square(got - wanted).mean())
    return bool(error <= _MOST_ERROR * np.sqrt(np.square(wanted).mean()))
