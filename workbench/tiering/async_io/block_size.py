"""Choose how much to ask of a device at a time, by a short sweep that is remembered.

Follows: fio's block-size sweeps; the smallest size that is as good as the best one is taken,
because smaller requests waste less and wait less.
Leaves out: which device it is (the caller passes its identity) and writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from workbench.paths import shown
from workbench.tiering.async_io.buffers import huge_buffer, split
from workbench.tiering.async_io.engine import (
    PAGE_BYTES,
    Engine,
    Request,
    StorageError,
    check_all,
)

_VERSION = 1
_SIZES = tuple(kib << 10 for kib in (16, 32, 64, 128, 256, 512, 1024))
# A size is as good as the best one when its median is within this part of the best median.
_WITHIN = 0.05


@dataclass(frozen=True, slots=True)
class Sweep:
    """How a sweep is done.

    Attributes
    ----------
    depth : int               requests in flight; the engine should have been opened with it
    sizes : tuple of int      bytes, multiples of 4 KiB
    rounds, round_ms : int    every size is read ``rounds`` times for at least ``round_ms``, in turn
                              with the others
    """

    depth: int = 32
    sizes: tuple[int, ...] = _SIZES
    rounds: int = 5
    round_ms: int = 10

    def __post_init__(self) -> None:
        if min(self.depth, self.rounds, self.round_ms, *self.sizes) < 1 or not self.sizes:
            raise StorageError(f"{self}: depth, sizes, rounds and time must each be at least 1")
        if any(size % PAGE_BYTES for size in self.sizes):
            raise StorageError(f"{self}: sizes must be multiples of {PAGE_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class BlockSize:
    """What was chosen, and why.

    Attributes
    ----------
    block_bytes : int   the smallest size within 5 % of the best
    gb_s : dict         size in bytes -> median rate
    measured : bool     whether it was measured now, not remembered
    note : str          why the answer could not be remembered, or ""
    """

    block_bytes: int
    gb_s: Mapping[int, float]
    measured: bool
    note: str = ""


def choose_block_size(
    engine: Engine,
    path: Path,
    folder: Path,
    identity: str,
    *,
    sweep: Sweep | None = None,
    again: bool = False,
) -> BlockSize:
    """Return the block size for a device, remembered or measured.

    Parameters
    ----------
    engine : Engine    its kind, and whether it is direct, are part of what is remembered
    path : Path        a file on the device, written through and larger than a few blocks, that the
                       engine may read: sizes above a quarter of it are left out
    folder : Path      where answers are kept, one JSON file each; made if missing
    identity : str     the device's, so that another one is measured anew
    again : bool       measure even if there is an answer

    Raises
    ------
    StorageError   if the file is too small or cannot be read

    Cost    50 to 400 ms a size; nothing but a small file when there is an answer. A damaged
            answer, or one of another version or sweep, counts as none.
    """
    sweep = sweep or Sweep()
    file = engine.open(path, writable=False)
    try:
        stats = engine.stats()
        facts = [_VERSION, identity, stats.kind, stats.direct, sweep.depth, list(sweep.sizes)]
        kept = folder / f"block-size-{_digest(facts)[:16]}.json"
        known = None if again else _load(kept, facts)
        if known is not None:
            return known
        gb_s = _measure(engine, file, path, sweep)
    finally:
        engine.forget(file)
    chosen = smallest_good(gb_s)
    return BlockSize(chosen, gb_s, True, _save(kept, facts, chosen, gb_s))


def smallest_good(gb_s: Mapping[int, float]) -> int:
    """Return the smallest size whose rate is within 5 % of the best one."""
    best = max(gb_s.values())
    return min(size for size, rate in gb_s.items() if rate >= (1 - _WITHIN) * best)


def _measure(engine: Engine, file: int, path: Path, sweep: Sweep) -> dict[int, float]:
    n_bytes = path.stat().st_size
    sizes = [size for size in sorted(set(sweep.sizes)) if 4 * size <= n_bytes]
    if not sizes:
        raise StorageError(
            f"{shown(path)} has {n_bytes} bytes; the sweep needs {4 * min(sweep.sizes)} at least"
        )
    # Huge pages, so that the device is measured and not the pieces that memory is in.
    memory = huge_buffer(sweep.depth * sizes[-1])
    rng = np.random.default_rng(0)
    rates: dict[int, list[float]] = {size: [] for size in sizes}
    # The first round of each size only warms up: code, memory, the device's power state.
    for number in range(sweep.rounds + 1):
        for size in sizes if number % 2 else reversed(sizes):
            n_requests = max(2 * sweep.depth, len(memory) // size // 4)
            places = rng.integers(0, n_bytes // size, n_requests)
            buffers = split(memory[: sweep.depth * size], size)
            batch = [
                # Of the requests in flight no two share a buffer.
                Request("read", file, int(place) * size, buffers[at % sweep.depth])
                for at, place in enumerate(places)
            ]
            rate = _rate(engine, batch, sweep.round_ms)
            if number:
                rates[size].append(rate)
    return {size: statistics.median(found) for size, found in rates.items()}


def _rate(engine: Engine, batch: list[Request], round_ms: int) -> float:
    """Read a batch over and over for a round's time, at least once; return GB/s."""
    n_bytes = 0
    start_ns = now_ns = perf_counter_ns()
    while now_ns - start_ns < round_ms * 1_000_000:
        check_all(engine.submit(batch))
        n_bytes += sum(request.n_bytes for request in batch)
        now_ns = perf_counter_ns()
    return n_bytes / (now_ns - start_ns)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _load(kept: Path, facts: list[object]) -> BlockSize | None:
    """Return a remembered answer; None if there is none that can be trusted."""
    try:
        answer = json.loads(kept.read_text(encoding="utf-8"))
        content = answer["content"]
        if answer["sha256"] != _digest(content) or content["facts"] != facts:
            return None
        gb_s = {int(size): float(rate) for size, rate in content["gb_s"].items()}
        return BlockSize(int(content["block_bytes"]), gb_s, False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Missing, cut off, damaged or somebody else's: it is measured again.
        return None


def _save(kept: Path, facts: list[object], chosen: int, gb_s: Mapping[int, float]) -> str:
    """Keep an answer in one step, and return why that failed, or ""."""
    content = {
        "facts": facts,
        "block_bytes": chosen,
        "gb_s": {str(size): round(rate, 4) for size, rate in gb_s.items()},
    }
    text = json.dumps({"content": content, "sha256": _digest(content)}, indent=2, sort_keys=True)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        _replace(kept, text.encode())
    except OSError as error:
        return f"not remembered: {shown(kept)}: {os.strerror(error.errno or 0)}"
    return ""


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
