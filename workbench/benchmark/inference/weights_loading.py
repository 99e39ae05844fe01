"""Time the ways to get a model's weights from a cold disk into memory, beside fio.

Follows: every run begins with no page of the file in memory, proven by mincore; a mapped way ends
when every page has been touched, the direct one when every byte lies in memory of our own, which
was touched before. Touching costs one load a page.
Leaves out: computing with the weights meanwhile, and layers that pass (tiering/mmap_gguf).
"""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from workbench.benchmark.paired import Case
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import COLD_FRAC, MediumError, scratch_folder
from workbench.benchmark.storage import beside_fio
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.fio import FioJob
from workbench.paths import shown
from workbench.tiering.async_io import residency
from workbench.tiering.memory import allocate
from workbench.tiering.mmap_gguf import ModelMap, TensorInfo, open_model
from workbench.tiering.mmap_gguf.direct_reader import DirectReader
from workbench.tiering.mmap_gguf.layers import Group, Span, group_tensors
from workbench.tiering.mmap_gguf.residency import release_all, will_need

DEPTH = 32
# The ways, as case names.
FAULTED = "mapped, read at each fault"
AHEAD = "mapped, all asked for in advance"
DIRECT = f"direct reads, depth {DEPTH}"

_MIB = 1 << 20
_REQUEST_KIB = 1024


@dataclass(frozen=True, slots=True)
class LoadingPlan:
    """MiB of whole layers to load at most, rounds, and how long fio runs."""

    limit_mib: int
    rounds: int
    run_ms: int


@dataclass(frozen=True, slots=True)
class WeightsLoading:
    """What was loaded, by which engine, and rounds of the three ways beside fio's."""

    n_layers: int
    n_bytes: int
    kind: str
    beside: BesideFio


def measure(model_path: Path, store: Path, plan: LoadingPlan) -> WeightsLoading:
    """Load the first layers of a model again and again, each time from a cold disk.

    Parameters
    ----------
    model_path : Path   a GGUF file, not split
    store : Path        folder on the disk to measure; a copy of the model lives there meanwhile,
                        because pages that others use of the model could not be made cold

    Raises
    ------
    GGUFError     if it is no whole GGUF file
    MediumError   if its first layer is larger than allowed, it cannot be made cold, or the direct
                  reads went through the page cache or brought other bytes than the mapped ones
    FioError      if fio is missing or fails

    Cost    the copy, and ``(rounds + 1)`` times three loads and two runs of fio.
    """
    with scratch_folder(store, "weights", model_path.stat().st_size) as folder:
        path = Path(shutil.copy(model_path, folder / "model.gguf"))
        # Otherwise fio's first direct reads would wait for the copy to be written.
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return _measure(path, plan)


def _measure(path: Path, plan: LoadingPlan) -> WeightsLoading:
    with open_model(path) as model, DirectReader(model, depth=DEPTH) as reader:
        n_layers, group = _first_layers(model, plan.limit_mib * _MIB)
        loads = _Loads(model, group, reader)
        loads.compare()
        work = float(sum(span.n_bytes for span in group.spans))
        ways = ((FAULTED, loads.faulted), (AHEAD, loads.ahead), (DIRECT, loads.direct))
        cases = [Case(name, _from_cold(model, load), work) for name, load in ways]
        job = FioJob("read", _REQUEST_KIB, DEPTH, plan.run_ms)
        with meter("loading of weights", plan.rounds) as on_round:
            beside = beside_fio.measure(cases, path, job, plan.rounds, on_round)
        stats = reader.stats()
        if not stats.direct:
            raise MediumError(
                f"{shown(path)}: reads went through the page cache ({stats.fallback_reason}); "
                "choose a store folder on a disk whose file system has O_DIRECT"
            )
        return WeightsLoading(n_layers, int(work), stats.kind, beside)


def _first_layers(model: ModelMap, limit_bytes: int) -> tuple[int, Group]:
    """Return as many whole layers as the limit allows, as one group, and how many they are."""
    tensors: list[TensorInfo] = []
    spans: list[Span] = []
    n_bytes = n_layers = 0
    for layer in group_tensors(model.header).layers:
        n_bytes += layer.page_bytes
        if n_bytes > limit_bytes:
            break
        tensors += layer.tensors
        spans += layer.spans
        n_layers += 1
    if not n_layers:
        raise MediumError(
            f"{shown(model.header.path)} has no layer of {limit_bytes / _MIB:,.0f} MiB or less; "
            "name another model"
        )
    return n_layers, Group(tuple(tensors), tuple(spans))


class _Loads:
    """The three ways to load a group; none starts with a clock."""

    def __init__(self, model: ModelMap, group: Group, reader: DirectReader) -> None:
        self._model = model
        self._group = group
        self._reader = reader
        self._memory = allocate(group.page_bytes)

    def faulted(self) -> None:
        """Touch one page after the other; the kernel reads around each fault as it sees fit."""
        for span in self._group.spans:
            view = self._model.bytes_of(span.part)[span.start : span.stop]
            int(view[:: mmap.PAGESIZE].sum())

    def ahead(self) -> None:
        """Ask for all of it in advance, then touch it."""
        will_need(self._model, self._group.spans)
        self.faulted()

    def direct(self) -> None:
        """Read it past the page cache."""
        self._reader.read(self._group, self._memory)

    def compare(self) -> None:
        """Raise MediumError unless the direct reads bring what the mapped file holds."""
        for name, tensor in self._reader.read(self._group, self._memory).items():
            if not np.array_equal(tensor.packed, self._model.tensor(name).packed):
                raise MediumError(
                    f"{shown(self._model.header.path)}: direct reads of {name} bring other bytes "
                    "than the mapped file; do not use this disk, check it"
                )


def _from_cold(model: ModelMap, load: Callable[[], None]) -> Callable[[], float]:
    def run() -> float:
        _chill(model)
        start = perf_counter()
        load()
        return perf_counter() - start

    return run


def _chill(model: ModelMap) -> None:
    """Have no page of the model in memory, or raise MediumError."""
    release_all(model)
    for file in model.files:
        left = residency.drop_cache(file.fd)
        if left > COLD_FRAC:
            raise MediumError(
                f"{shown(file.path)}: {left:.0%} of it stay in memory; choose a store folder on a "
                "disk"
            )
