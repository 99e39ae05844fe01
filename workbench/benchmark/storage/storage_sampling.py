"""Time sequential samples of one block size and direction on both media, fio around them.

Follows: interleaved rounds (paired.py); fio runs before, between and after them (same file, same
block size, depths 1 and 32).
Leaves out: preparing files (storage_media.py) and tables (storage_tables.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.storage import fio
from workbench.benchmark.storage.storage_media import Medium
from workbench.tiering.async_io import residency
from workbench.tiering.async_io.buffers import split
from workbench.tiering.async_io.engine import Op, Request, check_all

DEEP = 32

# Variants, after the medium in a case's name.
# The bare system-call loop: what the engine could reach if its own bookkeeping were free.
RAW = "raw_loop"
# The same engine with its buffers in huge pages, each block one piece of memory to the device.
HUGE = "synchronous_huge"

# A device sample takes no longer than this, however slow the disk; 8 blocks are the least.
_SAMPLE_CAP_S = 0.1
MIN_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Group:
    """What was measured for one direction and block size.

    Attributes
    ----------
    samples : Samples               cases "device", "page_cache", and "<medium> <variant>"
    took_us : dict                  case -> float64[n_ops], the latency of every single block; bare
                                    loops have none
    fio : dict of int to list       depth -> results in the order they were taken; may be empty
    """

    op: Op
    block_kib: int
    samples: Samples
    took_us: dict[str, NDArray[np.float64]]
    fio: dict[int, list[fio.FioResult]]


class FioCeiling:
    """Runs fio as long as it works; once it fails, the reason is kept and it is left alone."""

    def __init__(self, runtime_ms: int, rounds: int) -> None:
        self._runtime_ms = runtime_ms
        self.rounds = rounds
        self.notes: list[str] = []
        self.usable = rounds > 0 and fio.available()
        if rounds < 1:
            self.notes.append("fio was not asked for (0 rounds); the ceiling is our bare loop")
        elif not self.usable:
            self.notes.append(
                f"fio is missing, so the ceiling is our own bare system-call loop; {fio.ENABLE}"
            )

    def take(self, path: Path, op: Op, block_kib: int) -> dict[int, fio.FioResult]:
        """Return one result a depth; empty when fio cannot be used."""
        results: dict[int, fio.FioResult] = {}
        if not self.usable:
            return results
        try:
            for depth in (1, DEEP):
                results[depth] = fio.run(path, fio.FioJob(op, block_kib, depth, self._runtime_ms))
                self._note(f"fio depth {depth}: {results[depth].note}", results[depth].note)
        except fio.FioError as error:
            self.usable = False
            self._note(f"fio was given up, the ceiling is our bare loop from there: {error}", "yes")
        return results

    def _note(self, sentence: str, reason: str) -> None:
        if reason and sentence not in self.notes:
            self.notes.append(sentence)


class Sampler:
    """Moves the next run of sequential blocks each time it is called, round the file for ever."""

    def __init__(
        self, medium: Medium, op: Op, blocks: Sequence[memoryview], n_blocks: int, file_bytes: int
    ) -> None:
        """Prepare to move ``n_blocks`` a call.

        ``blocks`` are buffers of one block each, used in turn; the file's last part of a block is
        left out.
        """
        self._medium = medium
        self._op = op
        self._blocks = blocks
        self._block_bytes = len(blocks[0])
        self._n_blocks = n_blocks
        self._file_blocks = file_bytes // self._block_bytes
        self._next = 0
        self._took_ns: list[NDArray[np.int64]] = []

    @property
    def work(self) -> float:
        """Return the bytes that one call moves."""
        return float(self._n_blocks * self._block_bytes)

    def took_us(self) -> NDArray[np.float64]:
        """Return the latency of every block in us, float64[n_ops], the first call left out."""
        return np.concatenate(self._took_ns[1:]) / 1e3

    def run(self) -> float:
        """Move one sample through the engine and return its seconds."""
        batch = self._batch()
        self._chill()
        start = perf_counter()
        completions = self._medium.engine.submit(batch)
        seconds = perf_counter() - start
        check_all(completions)
        self._took_ns.append(np.array([done.took_ns for done in completions]))
        self._settle()
        return seconds

    def run_raw(self) -> float:
        """Move one sample by bare system calls and return its seconds."""
        batch = self._batch()
        self._chill()
        call = os.preadv if self._op == "read" else os.pwritev
        fd = self._medium.fileno()
        moved = 0
        start = perf_counter()
        for request in batch:
            moved += call(fd, (request.buffer,), request.offset)
        seconds = perf_counter() - start
        if moved != self.work:
            raise OSError(f"{moved} of {self.work:.0f} bytes moved")
        self._settle()
        return seconds

    def _batch(self) -> list[Request]:
        first, self._next = self._next, (self._next + self._n_blocks) % self._file_blocks
        return [
            Request(
                self._op,
                self._medium.file,
                (first + i) % self._file_blocks * self._block_bytes,
                self._blocks[i % len(self._blocks)],
            )
            for i in range(self._n_blocks)
        ]

    def _chill(self) -> None:
        """Without O_DIRECT a device read must find a cold cache; outside the timing."""
        medium = self._medium
        if medium.name == "device" and not medium.direct:
            medium.resident_before.append(residency.drop_cache(medium.fileno()))

    def _settle(self) -> None:
        """Flush what a page-cache write left dirty, outside the timing, so it delays nothing."""
        if self._medium.name == "page_cache" and self._op == "write":
            check_all(self._medium.engine.submit([Request("sync", self._medium.file)]))


@dataclass(frozen=True, slots=True)
class Bench:
    """The media, memory and limits that all groups of a sweep share.

    ``payload`` lies in ordinary pages, ``huge_payload`` in huge ones or is None without any.
    """

    device: Medium
    page_cache: Medium
    payload: memoryview
    huge_payload: memoryview | None
    file_bytes: int
    sample_bytes: int
    rounds: int
    ceiling: FioCeiling


def measure_group(bench: Bench, op: Op, block_kib: int) -> Group:
    """Measure one direction and block size on both media.

    Cost    ``(rounds + 2) * 2`` device samples of at most 0.1 s (or 8 blocks), and the fio runs.
    """
    media = (bench.device, bench.page_cache)
    for medium in media:
        medium.prepare()
    ceilings: dict[int, list[fio.FioResult]] = {}
    on_round = _fio_between(bench, op, block_kib, ceilings)
    on_round(0)
    samplers, bare = _samplers(bench, op, block_kib << 10, with_bare_device=not ceilings.get(1))
    cases = [Case(name, sampler.run, sampler.work) for name, sampler in samplers.items()]
    cases += [Case(name, sampler.run_raw, sampler.work) for name, sampler in bare.items()]
    samples = interleave(cases, bench.rounds, on_round)
    for medium in media:
        medium.conclude()
    latencies = {name: sampler.took_us() for name, sampler in samplers.items()}
    return Group(op, block_kib, samples, latencies, ceilings)


def _samplers(
    bench: Bench, op: Op, block_bytes: int, with_bare_device: bool
) -> tuple[dict[str, Sampler], dict[str, Sampler]]:
    """Return the engine's cases and the bare loops', by name."""
    blocks = split(bench.payload, block_bytes)
    n_blocks = _calibrate(bench, op, blocks)

    def sampler(medium: Medium, memory: Sequence[memoryview] = tuple(blocks)) -> Sampler:
        return Sampler(medium, op, memory, n_blocks, bench.file_bytes)

    device, cache = bench.device, bench.page_cache
    engine: dict[str, Sampler] = {device.name: sampler(device), cache.name: sampler(cache)}
    bare: dict[str, Sampler] = {f"{cache.name} {RAW}": sampler(cache)}
    best = blocks
    if bench.huge_payload is not None:
        best = split(bench.huge_payload, block_bytes)
        engine[f"{device.name} {HUGE}"] = sampler(device, best)
    # fio is the device's ceiling where there is one; nothing but a bare loop is the page cache's.
    if with_bare_device:
        bare[f"{device.name} {RAW}"] = sampler(device, best)
    return engine, bare


def _calibrate(bench: Bench, op: Op, blocks: Sequence[memoryview]) -> int:
    """Return how many blocks a sample may hold so that the device is done within the cap."""
    probe = Sampler(bench.device, op, blocks, MIN_BLOCKS, bench.file_bytes)
    probe.run()
    block_s = probe.run() / MIN_BLOCKS
    wanted = bench.sample_bytes // len(blocks[0])
    return max(MIN_BLOCKS, min(wanted, int(_SAMPLE_CAP_S / block_s)))


def _fio_between(
    bench: Bench, op: Op, block_kib: int, into: dict[int, list[fio.FioResult]]
) -> Callable[[int], None]:
    """Return what `interleave` calls after each round: fio at evenly spaced ones, 0 = before."""
    n_fio = bench.ceiling.rounds
    due = [round(i * bench.rounds / (n_fio - 1)) for i in range(n_fio)] if n_fio > 1 else [0]

    def on_round(done: int) -> None:
        for _ in range(due.count(done)):
            for depth, result in bench.ceiling.take(bench.device.path, op, block_kib).items():
                into.setdefault(depth, []).append(result)

    return on_round
