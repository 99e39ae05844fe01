"""Put a text's keys and values on the SSD, and open it with no more than its ends in memory.

Follows: what is always hot: the first block (sinks) and the most recent tokens; staging memory is
so small that a token cannot live on what an earlier one read, unless it is asked to be larger.
Leaves out: what is then decoded and compared (partial_loading.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench.benchmark.scratch_files import MediumError
from workbench.benchmark.selection.real_text import KeysValues, token_major
from workbench.inference.llama import LlamaModel
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.memory import MIB
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import (
    CacheConfig,
    CachedSequence,
    KeySummaries,
    TieredKVCache,
)
from workbench.tiering.tiered_kv_cache.key_summaries import Kind

_SEGMENT_BYTES = 16 * MIB
_SPARE_BLOCKS = 2
_WRITE_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class ColdLayout:
    """How the text lies on the disk, and how little of it is in memory.

    Attributes
    ----------
    block_tokens, frame_layers : int   what is read at once: so many tokens of so many layers
    dtype : str                        float16 or int8
    recent_tokens : int                that stay in memory
    staging_bytes : int                memory that cold blocks are read into
    """

    block_tokens: int = 16
    frame_layers: int = 1
    dtype: str = "float16"
    recent_tokens: int = 256
    staging_bytes: int = 2 * MIB

    @property
    def name(self) -> str:
        """Return the layout in a few words."""
        layers = "layer" if self.frame_layers == 1 else "layers"
        return f"{self.block_tokens} tokens x {self.frame_layers} {layers} {self.dtype}"


class ColdText:
    """A text on an SSD tier. Each `open` begins with the same blocks cold."""

    def __init__(
        self, model: LlamaModel, ssd: SsdTier, layout: ColdLayout, text: KeysValues
    ) -> None:
        """Write the text and have it on the device.

        Raises
        ------
        MediumError   if it could not be stored, or reads would come from the page cache
        """
        if not ssd.stats().engine.direct:
            raise MediumError(
                "the store's reads go through the page cache; choose a store folder on a disk "
                "whose file system has O_DIRECT"
            )
        self.model, self.layout, self.text = model, layout, text
        self._ssd = ssd
        n_blocks = -(-len(text.token_ids) // layout.block_tokens) + _SPARE_BLOCKS
        with self._cache(n_blocks) as cache, cache.sequence() as sequence:
            sequence.append(text.token_ids, *token_major(text))
            if not sequence.persist():
                raise MediumError(
                    f"a text of {len(text.token_ids)} tokens could not be stored and flushed; "
                    "check the disk"
                )

    @property
    def read_bytes(self) -> int:
        """Return the bytes of all frames read so far, each with the page of its header.

        The engine's own count has what the tier reads for itself on top, now and then.
        """
        counts = self._ssd.stats().counts
        return counts.hit_bytes + counts.hits * PAGE_BYTES

    @property
    def hot_blocks(self) -> int:
        """Return the blocks that memory holds: sinks, recent ones, and some to write to."""
        return 1 + -(-self.layout.recent_tokens // self.layout.block_tokens) + _SPARE_BLOCKS

    def summaries(self, kind: Kind) -> KeySummaries:
        """Return summaries of the whole text."""
        layout = self._config(1).layout
        found = KeySummaries(layout, kind)
        for layer, keys in enumerate(self.text.k):
            found.add(layer, keys)
        return found

    @contextmanager
    def open(self) -> Iterator[CachedSequence]:
        """Yield the text as a sequence with only its ends in memory.

        Raises
        ------
        MediumError   if not all of it is there
        """
        ids, size = self.text.token_ids, self.layout.block_tokens
        with self._cache(self.hot_blocks) as cache:
            cache.pin("sinks", ids[:size])
            with cache.load(ids[:size]) as sinks:
                sinks.wait()
            with cache.load(ids) as load:
                if load.wait() != len(ids):
                    raise MediumError(
                        f"{load.sequence.n_tokens} of {len(ids)} tokens came back from the SSD; "
                        "see `workbench doctor` about the disk"
                    )
                yield load.sequence

    @contextmanager
    def _cache(self, n_blocks: int) -> Iterator[TieredKVCache]:
        config = self._config(n_blocks)
        with TieredKVCache(config, self._ssd, fingerprint=self.model.fingerprint) as cache:
            self.model.use_cache(cache.layout)
            yield cache

    def _config(self, n_blocks: int) -> CacheConfig:
        one = self.layout
        geometry = self.model.kv_geometry(one.dtype)
        layout = CacheConfig(
            geometry, 1, block_tokens=one.block_tokens, frame_layers=one.frame_layers
        ).layout
        return CacheConfig(
            geometry,
            n_blocks * layout.block_bytes,
            block_tokens=one.block_tokens,
            frame_layers=one.frame_layers,
            recent_tokens=one.recent_tokens if n_blocks == self.hot_blocks else 0,
            high_watermark_frac=1.0,
            low_watermark_frac=1.0,
            write_queue_blocks=n_blocks,
            write_wait_s=_WRITE_WAIT_S,
            staging_bytes=max(one.staging_bytes, 8 * layout.frame_bytes),
        )


@contextmanager
def stored(
    model: LlamaModel, folder: Path, layout: ColdLayout, text: KeysValues
) -> Iterator[ColdText]:
    """Open an SSD tier in a new folder, write the text to it and yield it.

    Raises
    ------
    MediumError, StorageError, UsageError   as the parts raise them
    """
    folder.mkdir()
    with SsdTier.open(folder, _store_config(model, layout, len(text.token_ids))) as ssd:
        yield ColdText(model, ssd, layout, text)


def _store_config(model: LlamaModel, layout: ColdLayout, n_tokens: int) -> SsdTierConfig:
    """Return room for the text and as much again, and for as many frames."""
    n_bytes = n_tokens * model.kv_geometry(layout.dtype).bytes_per_token
    n_frames = -(-n_tokens // layout.block_tokens) * -(-model.config.layers // layout.frame_layers)
    # A frame has a page for its header, and ends with a page.
    capacity = 2 * (n_bytes + n_frames * 8192)
    return SsdTierConfig(
        (capacity // _SEGMENT_BYTES + 8) * _SEGMENT_BYTES,
        segment_bytes=_SEGMENT_BYTES,
        max_blocks=4 * n_frames + 1024,
        pool_bytes=32 * MIB,
    )


def scratch_bytes(n_tokens: int, n_layouts: int) -> int:
    """Return about the bytes that texts of so many tokens take, never less."""
    return n_layouts * (3 * n_tokens * 64 * 1024 + 256 * MIB)
