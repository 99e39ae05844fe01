"""Hold the best engine against fio: the same block size, depth, order and direction, cold.

Follows: blocks in random order, because small neighbours in order are merged on their way to the
device as soon as several are submitted at once, which fio does not do unless told to.
Leaves out: order, merging and read-ahead (restore.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from workbench.benchmark.paired import Case
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import ScratchFile, refuse_memory, scratch_files, verify
from workbench.benchmark.storage import beside_fio
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.device_watch import DeviceWatch
from workbench.benchmark.storage.fio import FioJob
from workbench.tiering.async_io.buffers import fill_random, huge_buffer, split
from workbench.tiering.async_io.engine import Op, Request, check_all
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.async_io.real_files import RealFiles

DEPTH = 32
ENGINE = "engine"

_KIB, _MIB = 1 << 10, 1 << 20
# As many buffers as fio has: twice as many were up to 14 % slower at 1 MiB. Answers come out of
# order, so two requests in flight may share one; nobody looks at what is in it.
_BUFFERS = DEPTH


@dataclass(frozen=True, slots=True)
class RatesPlan:
    """Block sizes in KiB, the file's MiB, rounds, and how long fio and a sample of ours last."""

    block_kib: tuple[int, ...]
    file_mib: int
    rounds: int
    run_ms: int


@dataclass(frozen=True, slots=True)
class EngineRate:
    """One block size: the engine that was chosen, and its rounds beside fio's."""

    block_kib: int
    kind: str
    beside: BesideFio


def measure(store: Path, op: Op, plan: RatesPlan, seed: int = 0) -> list[EngineRate]:
    """Measure every block size at depth 32, random order, buffers in huge pages on both sides.

    Parameters
    ----------
    store : Path             folder on the disk to measure; one file lives there meanwhile
    op : "read" or "write"   writes replace existing blocks; nothing is flushed, as with fio
    seed : int               of the content and the order

    Raises
    ------
    MediumError   if the device was not proven to be reached, or gives back wrong bytes
    FioError      if fio is missing or fails

    Cost    for each size ``(rounds + 1) * (4 * run_ms + 0.4 s)``, and the file written once.
    """
    # A file of its own for the content that is verified: fio's writes would replace it.
    with (
        scratch_files(store, {"rates": plan.file_mib * _MIB}, seed) as files,
        open_engine("auto", depth=DEPTH) as engine,
    ):
        watch = DeviceWatch(op, engine, engine.open(files["rates"].path))
        refuse_memory(store, engine.fileno(watch.file))
        verify(engine, watch.file, files["rates"])
        watch.chill()
        rates = list(_sizes(watch, files["rates"], op, plan, seed))
        watch.conclude()
        watch.demand()
        return rates


def _sizes(
    watch: DeviceWatch, file: ScratchFile, op: Op, plan: RatesPlan, seed: int
) -> Iterator[EngineRate]:
    for block_kib in plan.block_kib:
        sampler = _Sampler(watch.engine, watch.file, op, block_kib * _KIB, file.n_bytes)
        sampler.prepare(plan.run_ms / 1000, np.random.default_rng([seed, block_kib]))
        job = FioJob(op, block_kib, DEPTH, plan.run_ms, random=True)
        case = Case(ENGINE, sampler.run, sampler.work)
        with meter(f"{op} {block_kib} KiB", plan.rounds) as on_round:
            beside = beside_fio.measure([case], file.path, job, plan.rounds, on_round)
        yield EngineRate(block_kib, watch.engine.kind, beside)


class _Sampler:
    """Moves blocks in a new random order each time it is called."""

    def __init__(self, engine: RealFiles, file: int, op: Op, block_bytes: int, file_bytes: int):
        self._engine = engine
        self._file = file
        self._op = op
        self._block_bytes = block_bytes
        self._file_blocks = file_bytes // block_bytes
        self._n_blocks = _BUFFERS

    @property
    def work(self) -> float:
        """Return the bytes that one call moves."""
        return float(self._n_blocks * self._block_bytes)

    def prepare(self, seconds: float, rng: np.random.Generator) -> None:
        """Back the buffers and find how many blocks take about so long."""
        memory = huge_buffer(_BUFFERS * self._block_bytes)
        fill_random(memory, rng)
        self._buffers = split(memory, self._block_bytes)
        self._rng = rng
        self.run()
        self._n_blocks = max(_BUFFERS, int(_BUFFERS * seconds / self.run()))

    def run(self) -> float:
        """Move one sample and return its seconds."""
        batch = self._batch()
        start = perf_counter()
        completions = self._engine.submit(batch)
        seconds = perf_counter() - start
        check_all(completions)
        return seconds

    def _batch(self) -> list[Request]:
        rounds = -(-self._n_blocks // self._file_blocks)
        order = [self._rng.permutation(self._file_blocks) for _ in range(rounds)]
        places = np.concatenate(order)[: self._n_blocks] * self._block_bytes
        buffers, count = self._buffers, len(self._buffers)
        return [
            Request(self._op, self._file, offset, buffers[i % count])
            for i, offset in enumerate(places.tolist())
        ]
