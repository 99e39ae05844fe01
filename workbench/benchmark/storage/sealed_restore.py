"""Hold the restore of a sealed sequence beside a plain one's and fio's, and sealing beside a copy.

Follows: sequence_restore.py's sequence, frames and proof that the device was reached; both stores
hold the same bytes and are read in turn.
Leaves out: compression, which is measured apart.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kernels import copy
from workbench.benchmark.paired import Case, Samples, interleave, timed_on_threads
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_files, scratch_folder
from workbench.benchmark.storage import beside_fio
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.device_watch import DeviceWatch
from workbench.benchmark.storage.fio import FioJob
from workbench.benchmark.storage.sequence_restore import (
    BLOCK_BYTES,
    DEPTH,
    Restorer,
    SequencePlan,
    capacity,
    filled,
)
from workbench.tiering.async_io.buffers import fill_random, huge_buffer, split
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.encryption import MasterKey, StoreSealing
from workbench.tiering.encryption.cipher import NONCE_BYTES, decrypt, encrypt
from workbench.tiering.encryption.secret import Secret
from workbench.tiering.ssd_tier.frame import frame_pages

# Case names.
PLAIN, SEALED = "checksums", "AES-256-GCM, every tag checked"
COPY, SEAL, OPEN = "copy", "seal", "open"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class SealedRestore:
    """The engine that was chosen, and rounds of `PLAIN` and `SEALED` beside fio's."""

    kind: str
    request_kib: int
    beside: BesideFio


def measure(store: Path, plan: SequencePlan, seed: int = 0) -> SealedRestore:
    """Put the same random sequence into a plain and a sealed store and get both back, in turn.

    Every value of both is compared with what was put once, before the timing.

    Raises
    ------
    MediumError   if the device was not proven to be reached, or a block was missed or wrong
    FioError      if fio is missing or fails

    Cost    ``(rounds + 1) * (4 * run_ms + 0.4 s)`` and a few hundred MB written.
    """
    n_bytes = plan.n_blocks * BLOCK_BYTES
    values = huge_buffer(n_bytes)
    fill_random(values, np.random.default_rng([seed, plan.n_blocks]))
    blocks = split(values, BLOCK_BYTES)
    request_kib = frame_pages(BLOCK_BYTES) * PAGE_BYTES >> 10
    scratch_bytes = max(n_bytes, 16 * request_kib << 10) // _MIB * _MIB + _MIB
    with ExitStack() as stack:
        files = stack.enter_context(scratch_files(store, {"ceiling": scratch_bytes}, seed))
        engine = stack.enter_context(open_engine("auto", depth=DEPTH))
        cases, watches = [], []
        for name, sealing in ((PLAIN, None), (SEALED, StoreSealing(MasterKey(Secret.random())))):
            needed = capacity(n_bytes)
            label = "plain" if sealing is None else "sealed"
            folder = stack.enter_context(scratch_folder(store, label, needed))
            tier, keys = stack.enter_context(filled(folder, engine, blocks, sealing))
            restorer = Restorer(tier, keys, n_bytes)
            restorer.compare(blocks)
            watches += [
                DeviceWatch(f"{label} segment", engine, engine.open(path, writable=False))
                for path in sorted(folder.glob("segment-*"))
            ]
            cases.append(restorer.case(name, plan.run_ms / 1000))
        for watch in watches:
            watch.chill()
        job = FioJob("read", request_kib, DEPTH, plan.run_ms)
        with meter("restore of a sealed sequence", plan.rounds) as on_round:
            beside = beside_fio.measure(cases, files["ceiling"].path, job, plan.rounds, on_round)
        for watch in watches:
            watch.conclude()
            watch.demand()
        return SealedRestore(engine.kind, request_kib, beside)


def measure_rates(n_blocks: int, rounds: int, threads: int) -> Samples:
    """Seal, open and copy so many blocks of 64 tokens, on so many threads, in bytes a second.

    Blocks are opened where they are, as a restore does, and sealed into other memory, as a put
    does; the copy is the best copy kernel's, of the same bytes between the same memory.

    Raises
    ------
    MediumError   if what was opened is not what was sealed
    """
    rates = _Rates(n_blocks, threads)
    rates.compare()
    work = float(n_blocks * BLOCK_BYTES)
    cases = [
        Case(name, run, work)
        for name, run in ((COPY, rates.copy), (SEAL, rates.seal), (OPEN, rates.open))
    ]
    return interleave(cases, rounds)


class _Rates:
    """Some blocks in plain, the same ones sealed, and memory to work in."""

    def __init__(self, n_blocks: int, threads: int) -> None:
        n_bytes = n_blocks * BLOCK_BYTES
        memory = [huge_buffer(n_bytes) for _ in range(3)]
        fill_random(memory[0], np.random.default_rng(n_blocks))
        self._plain, self._sealed, self._opened = (split(one, BLOCK_BYTES) for one in memory)
        self._key = Secret.random()
        self._bound = os.urandom(216)
        self._tags = [b""] * n_blocks
        self._shares = [(range(n, n_blocks, threads),) for n in range(threads)]
        self.seal()

    def compare(self) -> None:
        self.open()
        if any(one != other for one, other in zip(self._opened, self._plain, strict=True)):
            raise MediumError("a block that was sealed and opened came back changed")

    def seal(self) -> float:
        return timed_on_threads(self._seal, self._shares)()

    def open(self) -> float:
        for opened, sealed in zip(self._opened, self._sealed, strict=True):
            opened[:] = sealed
        return timed_on_threads(self._open, self._shares)()

    def copy(self) -> float:
        return timed_on_threads(self._copy, self._shares)()

    def _seal(self, numbers: Sequence[int]) -> None:
        for n in numbers:
            nonce = n.to_bytes(NONCE_BYTES, "big")
            self._tags[n] = encrypt(self._key, nonce, self._bound, self._plain[n], self._sealed[n])

    def _open(self, numbers: Sequence[int]) -> None:
        for n in numbers:
            nonce = n.to_bytes(NONCE_BYTES, "big")
            decrypt(self._key, nonce, self._bound, self._tags[n], self._opened[n])

    def _copy(self, numbers: Sequence[int]) -> None:
        best = copy.KERNEL.variants["njit_nontemporal"]
        for n in numbers:
            best(np.frombuffer(self._opened[n], np.uint8), np.frombuffer(self._plain[n], np.uint8))
