"""Time how long a store takes to open: from its index snapshot, and from frame headers alone.

Follows: opening is what stands between a restart and the first hit; past the page cache, beside
the time that the device needs for the same bytes.
Leaves out: opening after a crash, which lies between the two; the file system's own cache of names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
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
from workbench.tiering.ssd_tier import Attributes, SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.frame import frame_pages
from workbench.tiering.ssd_tier.layout import SNAPSHOT

DEPTH = 32
FROM_SNAPSHOT, FROM_HEADERS = "from the snapshot", "from headers alone"

_MIB = 1 << 20
_SEGMENT_BYTES = 16 * _MIB
# What a block holds: its frame is a page of header and a page of payload, the smallest there is.
_VALUE_BYTES = 64
_PUTS_AT_ONCE = 1000
_PUTS_A_FLUSH = 10_000
_CEILING_KIB = 1024


@dataclass(frozen=True, slots=True)
class OpeningPlan:
    """Blocks in the index, rounds, and how long one run of fio lasts."""

    n_blocks: int
    rounds: int
    fio_ms: int


@dataclass(frozen=True, slots=True)
class StoreOpening:
    """Rounds of `FROM_SNAPSHOT` and `FROM_HEADERS`; their work is the bytes that they read."""

    kind: str
    n_blocks: int
    beside: BesideFio


def measure(store: Path, plan: OpeningPlan, seed: int = 0) -> StoreOpening:
    """Fill a store, then close and open it again and again.

    Raises
    ------
    MediumError   if blocks were lost, or the device was not proven to be reached
    FioError      if fio is missing or fails

    Cost    8 KiB of disk and about 0.1 ms a block to fill it; a round takes about 50 us a block.
    """
    capacity_bytes = _capacity(plan.n_blocks)
    with (
        scratch_files(store, {"ceiling": 256 * _MIB}, seed) as files,
        scratch_folder(store, "opening", capacity_bytes) as folder,
        open_engine("auto", depth=DEPTH) as engine,
    ):
        opener = _Opener(folder, engine, _config(plan.n_blocks))
        opener.fill(plan.n_blocks, np.random.default_rng(seed))
        watches = [
            DeviceWatch(path.name, engine, engine.open(path, writable=False))
            for path in sorted(folder.glob("segment-*"))
        ]
        for watch in watches:
            watch.chill()
        cases = [
            Case(name, run, float(opener.read_bytes(run)))
            for name, run in (
                (FROM_SNAPSHOT, opener.from_snapshot),
                (FROM_HEADERS, opener.from_headers),
            )
        ]
        job = FioJob("read", _CEILING_KIB, DEPTH, plan.fio_ms)
        with meter("opening a store", plan.rounds) as on_round:
            beside = beside_fio.measure(cases, files["ceiling"].path, job, plan.rounds, on_round)
        for watch in watches:
            watch.conclude()
            watch.demand()
        return StoreOpening(engine.kind, plan.n_blocks, beside)


def _capacity(n_blocks: int) -> int:
    frames_bytes = n_blocks * frame_pages(_VALUE_BYTES) * PAGE_BYTES
    return (frames_bytes * 5 // 4 // _SEGMENT_BYTES + 6) * _SEGMENT_BYTES


def _config(n_blocks: int) -> SsdTierConfig:
    return SsdTierConfig(
        capacity_bytes=_capacity(n_blocks),
        segment_bytes=_SEGMENT_BYTES,
        max_blocks=n_blocks + 1,
        read_deadline_s=60.0,
        write_deadline_s=60.0,
        flush_every_s=None,
    )


@dataclass(slots=True)
class _Opener:
    folder: Path
    engine: RealFiles
    config: SsdTierConfig
    n_blocks: int = field(default=0, init=False)

    def fill(self, n_blocks: int, rng: np.random.Generator) -> None:
        """Put so many blocks and close the store, which leaves a snapshot."""
        value = rng.bytes(_VALUE_BYTES)
        self.n_blocks = n_blocks
        with SsdTier.open(self.folder, self.config, self.engine) as tier:
            for start in range(0, n_blocks, _PUTS_AT_ONCE):
                numbers = range(start, min(start + _PUTS_AT_ONCE, n_blocks))
                tier.put_many((_key(number), value, Attributes()) for number in numbers)
                if start % _PUTS_A_FLUSH == 0:
                    tier.flush()
            tier.flush()

    def from_snapshot(self) -> float:
        """Open the store after a clean stop and return the seconds."""
        return self._open()

    def from_headers(self) -> float:
        """Lose the snapshot, open the store and return the seconds."""
        (self.folder / SNAPSHOT).unlink()
        return self._open()

    def read_bytes(self, run: object) -> int:
        """Return how many bytes one opening reads from the device."""
        before = self.engine.stats().read_bytes
        assert callable(run)
        run()
        return self.engine.stats().read_bytes - before

    def _open(self) -> float:
        start = perf_counter()
        tier = SsdTier.open(self.folder, self.config, self.engine)
        seconds = perf_counter() - start
        found = tier.stats().blocks
        # Leaves a snapshot for whoever is next.
        tier.close()
        if found != self.n_blocks:
            raise MediumError(f"{found} of {self.n_blocks} blocks were found again; check the disk")
        return seconds


def _key(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "little")).digest()
