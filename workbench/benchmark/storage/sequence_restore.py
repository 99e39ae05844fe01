"""Hold the SSD tier's get_many of one sequence, every checksum verified, against fio.

Follows: the real model's fp16 KV in blocks of 64 tokens; fio reads requests as large as one frame.
Leaves out: what each part of the I/O stack contributes (restore.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
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
from workbench.tiering.async_io.buffers import fill_random, huge_buffer, split
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.async_io.real_files import RealFiles
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.frame import frame_pages
from workbench.tiering.ssd_tier.sealing import Sealing

DEPTH = 32
TOKENS_A_BLOCK = 64
# K and V of one token of SmolLM2-135M at fp16: 2 x 30 layers x 3 heads x 64 values x 2 bytes.
TOKEN_BYTES = 23_040
BLOCK_BYTES = TOKENS_A_BLOCK * TOKEN_BYTES

# Where the payloads go, as case names.
GIVEN, POOLED = "into the caller's huge pages", "into the store's own pool"

_MIB = 1 << 20
_SEGMENT_BYTES = 32 * _MIB


@dataclass(frozen=True, slots=True)
class SequencePlan:
    """Tokens of the sequence, rounds, and how long fio and a sample of ours last."""

    tokens: int
    rounds: int
    run_ms: int

    @property
    def n_blocks(self) -> int:
        """Return the blocks of the sequence."""
        return self.tokens // TOKENS_A_BLOCK


@dataclass(frozen=True, slots=True)
class SequenceRestore:
    """The engine that was chosen, and rounds of `GIVEN` and `POOLED` beside fio's."""

    kind: str
    request_kib: int
    beside: BesideFio


def measure(store: Path, plan: SequencePlan, seed: int = 0) -> SequenceRestore:
    """Put a sequence of random bytes into a new store and get it back, again and again.

    Every value is compared with what was put once, before the timing; later ones by the tier's own
    checksums.

    Raises
    ------
    MediumError   if the device was not proven to be reached, or a block was missed or wrong
    FioError      if fio is missing or fails

    Cost    ``(rounds + 1) * (4 * run_ms + 0.4 s)`` and a few hundred MB written.
    """
    n_bytes = plan.n_blocks * BLOCK_BYTES
    values = huge_buffer(n_bytes)
    fill_random(values, np.random.default_rng([seed, plan.n_blocks]))
    request_kib = frame_pages(BLOCK_BYTES) * PAGE_BYTES >> 10
    # As large as the sequence, so that fio moves over as much of the device.
    scratch_bytes = max(n_bytes, 16 * request_kib << 10) // _MIB * _MIB + _MIB
    with (
        scratch_files(store, {"ceiling": scratch_bytes}, seed) as files,
        scratch_folder(store, "sequence", capacity(n_bytes)) as folder,
        open_engine("auto", depth=DEPTH) as engine,
        filled(folder, engine, split(values, BLOCK_BYTES)) as (tier, keys),
    ):
        watches = [
            DeviceWatch("segment", engine, engine.open(path, writable=False))
            for path in sorted(folder.glob("segment-*"))
        ]
        restorer = Restorer(tier, keys, n_bytes)
        restorer.compare(split(values, BLOCK_BYTES))
        for watch in watches:
            watch.chill()
        cases = restorer.cases(plan.run_ms / 1000)
        job = FioJob("read", request_kib, DEPTH, plan.run_ms)
        with meter("restore of a sequence", plan.rounds) as on_round:
            beside = beside_fio.measure(cases, files["ceiling"].path, job, plan.rounds, on_round)
        for watch in watches:
            watch.conclude()
            watch.demand()
        return SequenceRestore(engine.kind, request_kib, beside)


def capacity(n_bytes: int) -> int:
    """Return room for the frames, what segments leave over, the index and one segment to spare."""
    return (n_bytes * 3 // 2 // _SEGMENT_BYTES + 4) * _SEGMENT_BYTES


@contextmanager
def filled(
    folder: Path,
    engine: RealFiles,
    values: Sequence[memoryview],
    sealing: Sealing | None = None,
) -> Iterator[tuple[SsdTier, list[bytes]]]:
    """Open a new store that holds one block a value; yield it and the keys in order."""
    config = SsdTierConfig(
        capacity_bytes=capacity(sum(value.nbytes for value in values)),
        segment_bytes=_SEGMENT_BYTES,
        flush_every_s=None,
    )
    keys = [hashlib.sha256(f"block {i}".encode()).digest() for i in range(len(values))]
    with SsdTier.open(folder, config, engine, sealing=sealing) as tier:
        stored = [tier.put(key, value) for key, value in zip(keys, values, strict=True)]
        if not all(stored) or not tier.flush():
            raise MediumError(
                f"{stored.count(False)} of {len(stored)} blocks could not be stored and flushed: "
                f"{tier.stats().reason or 'see the store on this disk'}; check the disk"
            )
        yield tier, keys


class Restorer:
    """Gets the whole sequence, as often as a sample lasts."""

    def __init__(self, tier: SsdTier, keys: Sequence[bytes], n_bytes: int) -> None:
        self._tier = tier
        self._keys = keys
        self._n_bytes = n_bytes
        self._given = split(huge_buffer(n_bytes), BLOCK_BYTES)
        self._times = 1

    def compare(self, values: Sequence[memoryview]) -> None:
        """Get the sequence once and compare every byte with what was put."""
        for buffers in (self._given, None):
            found = self._tier.get_many(self._keys, buffers)
            wrong = sum(one != other for one, other in zip(found, values, strict=True))
            if wrong:
                raise MediumError(
                    f"{wrong} of {len(values)} blocks were missed or came back changed; "
                    "do not store anything on this disk, check it"
                )

    def cases(self, seconds: float) -> list[Case]:
        """Return both ways to get the sequence, each sample about so long."""
        self._times = max(1, round(seconds / self._get(self._given)))
        work = float(self._times * self._n_bytes)
        return [
            Case(GIVEN, lambda: self._get(self._given), work),
            Case(POOLED, lambda: self._get(None), work),
        ]

    def case(self, name: str, seconds: float) -> Case:
        """Return the way into the caller's memory, each sample about so long."""
        self._times = max(1, round(seconds / self._get(self._given)))
        return Case(name, lambda: self._get(self._given), float(self._times * self._n_bytes))

    def _get(self, buffers: Sequence[memoryview] | None) -> float:
        missed = 0
        start = perf_counter()
        for _ in range(self._times):
            missed += sum(view is None for view in self._tier.get_many(self._keys, buffers))
        seconds = perf_counter() - start
        if missed:
            raise MediumError(f"{missed} blocks were missed; see `workbench doctor` about the disk")
        return seconds
