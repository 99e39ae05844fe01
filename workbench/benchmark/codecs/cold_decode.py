"""Decode behind a cold prefix, its blocks decoded for attention or attended as they are stored.

Follows: one SSD tier, a cache a case with the same little memory; every case decodes two tokens a
round, so that a drifting machine hits all alike, and the second one counts: during the first what
another case has read ahead comes to its end. Values are the real model's, over and over.
Leaves out: what is lost (codec_quality.py): the two ways attend to the very same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.benchmark import metrics
from workbench.benchmark.codecs.codec_grid import repeated
from workbench.benchmark.codecs.codec_quality import Quality
from workbench.benchmark.codecs.codec_tables import damage_of
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_folder
from workbench.inference.llama import LlamaModel
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.memory import MIB
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.tiered_kv_cache import CacheConfig, TieredKVCache

METRIC, READ_METRIC = "cold_decode", "cold_decode_read"
DECODED, STORED = "decoded", "as stored"
# Codecs that attention can read as they are stored.
ATTENDED = ("int8", "int4", "int4-hadamard")
_UNSCORED = {"none": 0.0}
_HOT_BLOCKS = 3
_SEGMENT_BYTES = 32 * MIB
_DEPTH = 32

Halves = NDArray[np.float16]
# A codec's name, and how its cold blocks are attended.
Way = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ColdDecodePlan:
    """How much is decoded behind what.

    Attributes
    ----------
    context_tokens : int   of the prefix; all but the newest blocks are cold
    staging_bytes : int    memory that cold blocks are attended through
    rounds : int           timed tokens of each case
    """

    context_tokens: int
    staging_bytes: int
    rounds: int


@dataclass(frozen=True, slots=True)
class ColdDecode:
    """What `measure` found.

    Attributes
    ----------
    samples : Samples          seconds a token, by `case_name`
    read_bytes : dict          bytes a token that were read from the SSD tier, by the same
    ways : tuple of Way
    plan : ColdDecodePlan
    """

    samples: Samples
    read_bytes: dict[str, float]
    ways: tuple[Way, ...]
    plan: ColdDecodePlan

    @property
    def metrics(self) -> pl.DataFrame:
        """Return rows cold_decode and cold_decode_read, a case a codec and a variant a way."""
        rows = []
        for codec, how in self.ways:
            name = case_name(codec, how)
            about = {"tier": "device", "case": f"codec={codec}", "variant": how}
            rows.append(metrics.rows(METRIC, "ms", self.samples.seconds[name] * 1e3, **about))
            rows.append(metrics.rows(READ_METRIC, "MB", [self.read_bytes[name] / 1e6], **about))
        return pl.concat(rows)

    def table(self, quality: Quality) -> pl.DataFrame:
        """Return a row a case: time, bytes and quality side by side."""
        rows: list[dict[str, object]] = []
        for codec, how in self.ways:
            name = case_name(codec, how)
            row: dict[str, object] = {"codec": codec, "cold blocks attended": how}
            row["ms a token"] = 1e3 * float(np.median(self.samples.seconds[name]))
            row["as fast as decoded"] = None
            if how == STORED:
                ratio = self.samples.ratio(name, case_name(codec, DECODED))
                row["as fast as decoded"] = str(ratio)
            row["MB read a token"] = self.read_bytes[name] / 1e6
            damage = damage_of(quality, codec)
            row["KL, nats"] = float(damage.kl.mean()) if damage else _UNSCORED.get(codec)
            rows.append(row)
        return pl.DataFrame(rows)


def case_name(codec: str, how: str) -> str:
    """Return what a case is called in the samples."""
    return f"{codec} {how}"


def ways_of(codecs: Sequence[str]) -> tuple[Way, ...]:
    """Return float16 as it is, then every codec both ways."""
    return (("none", DECODED), *((codec, how) for codec in codecs for how in (DECODED, STORED)))


def measure(
    model: Path, store: Path, quality: Quality, plan: ColdDecodePlan, codecs: Sequence[str]
) -> ColdDecode:
    """Store a prefix through every codec twice, then decode behind each in turn.

    Parameters
    ----------
    quality : Quality    has the values that the prefix is made of
    codecs : sequence    that can be attended as they are stored

    Raises
    ------
    MediumError   if a prefix could not be written, or the two ways differ

    Cost    the prefix encoded and written once a case, and two tokens a case and round.
    """
    k, v = (repeated(side, plan.context_tokens) for side in (quality.k, quality.v))
    ways = ways_of(codecs)
    capacity = (len(ways) * 2 * k.nbytes // _SEGMENT_BYTES + 8) * _SEGMENT_BYTES
    settings = SsdTierConfig(capacity, _SEGMENT_BYTES, flush_every_s=None)
    with (
        LlamaModel.open(model) as opened,
        scratch_folder(store, "cold-decode", capacity) as folder,
        open_engine("auto", depth=_DEPTH) as engine,
        SsdTier.open(folder, settings, engine) as tier,
        ExitStack() as stack,
    ):
        decoders = {}
        for codec, how in ways:
            config = _config(opened, plan, codec, how)
            # The two ways' blocks are their own: each is read as its own cache has written it.
            mark = how.encode()
            cache = stack.enter_context(TieredKVCache(config, tier, fingerprint=mark))
            decoders[case_name(codec, how)] = _Decoder(opened, cache, k, v)
        cases = [Case(name, one.run, 1.0) for name, one in decoders.items()]
        with meter("decoding behind a cold prefix", plan.rounds) as on_round:
            samples = interleave(cases, plan.rounds, on_round)
        read = {name: one.read_bytes_per_token for name, one in decoders.items()}
        for codec in codecs:
            _require_same(*(decoders[case_name(codec, how)] for how in (DECODED, STORED)))
    return ColdDecode(samples, read, ways, plan)


def _require_same(one: _Decoder, other: _Decoder) -> None:
    if one.token_ids != other.token_ids:
        raise MediumError(
            "blocks attended as they are stored gave other tokens than decoded ones; do not store "
            "anything on this disk, check it"
        )


def _config(model: LlamaModel, plan: ColdDecodePlan, codec: str, how: str) -> CacheConfig:
    geometry = model.kv_geometry("float16")
    sized = CacheConfig(geometry, 1)
    return CacheConfig(
        geometry,
        hot_bytes=_HOT_BLOCKS * sized.layout.block_bytes,
        write_queue_blocks=_HOT_BLOCKS,
        write_wait_s=30.0,
        staging_bytes=plan.staging_bytes,
        attend_stored=how == STORED,
        codec=codec,
    )


class _Decoder:
    """One sequence behind whose cold prefix tokens are decoded."""

    def __init__(self, model: LlamaModel, cache: TieredKVCache, k: Halves, v: Halves) -> None:
        self._model, self._cache = model, cache
        self._sequence = cache.sequence()
        self._sequence.append(range(len(k)), k, v)
        if not cache.drain():
            raise MediumError(f"{len(k)} tokens could not be written; check the disk")
        self.token_ids = [0]
        self._n_read: list[int] = []

    def run(self) -> float:
        """Decode two tokens greedily; return the second one's seconds."""
        self._model.use_cache(self._cache.layout)
        self._decode()
        return self._decode()

    def _decode(self) -> float:
        self._n_read.append(self._cache.stats().ssd_read_bytes)
        start = perf_counter()
        logits = self._model.forward(self.token_ids[-1:], self._sequence)
        seconds = perf_counter() - start
        self.token_ids.append(int(logits.argmax()))
        return seconds

    @property
    def read_bytes_per_token(self) -> float:
        """Return the bytes that were read for a token, the first one left out."""
        now = self._cache.stats().ssd_read_bytes
        return (now - self._n_read[1]) / (len(self._n_read) - 1)
