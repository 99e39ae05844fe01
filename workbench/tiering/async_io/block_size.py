"""Find the block size that a device moves at nearly its full rate, and remember it for the device.

Follows: a short sweep in interleaved rounds (A B B A), so that a drifting machine hits all alike.
Leaves out: who the device is: the caller names it (workbench.benchmark.machine lies above).
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from workbench import paths
from workbench.paths import shown
from workbench.tiering.async_io.buffers import fill_random, huge_buffer, split
from workbench.tiering.async_io.engine import Request, StorageError, check_all
from workbench.tiering.async_io.open_engine import open_engine
from workbench.tiering.async_io.real_files import RealFiles

KIB = 1 << 10
SIZES_KIB = (16, 64, 128, 256, 512, 1024, 2048)
# Smaller blocks waste less and wait less, so the smallest that is this near the best is taken.
GOOD_FRAC = 0.9
_FILE_BYTES = 128 << 20
_SAMPLE_BYTES = 16 << 20
_ROUNDS = 5
_VERSION = 1


@dataclass(frozen=True, slots=True)
class BlockSize:
    """What was found for one device.

    Attributes
    ----------
    block_kib : int                 the size to use
    rates_gb_s : dict of str        size in KiB -> median GB/s of random reads
    engine : str                    what measured it, e.g. ``"io_uring"``
    depth : int                     requests in flight meanwhile
    direct : bool                   False: a page cache was measured, so the answer means little
    """

    block_kib: int
    rates_gb_s: dict[str, float]
    engine: str
    depth: int
    direct: bool


def block_size(
    folder: Path, device_id: str, *, depth: int = 32, remeasure: bool = False
) -> BlockSize:
    """Return the block size for the device behind a folder, measured once for each device.

    Parameters
    ----------
    folder : Path       on the device; a file of 128 MiB lies there while it is measured
    device_id : str     the device's identity; a new one is measured anew
    remeasure : bool    measure although an answer is remembered

    Raises
    ------
    StorageError   if the device cannot be measured: no room, no permission, failed reads

    Cost    about 2 s the first time (600 MiB read, 128 MiB written), else a small file's reading.
    """
    remembered = _load()
    if not remeasure and (known := remembered.get(device_id)) is not None:
        return known
    found = measure(folder, depth=depth)
    # Another process may have answered for another device meanwhile.
    _save(_load() | {device_id: found})
    return found


def measure(
    folder: Path, *, depth: int = 32, sizes_kib: Sequence[int] = SIZES_KIB, rounds: int = _ROUNDS
) -> BlockSize:
    """Read random blocks of each size in turn, past the page cache where possible."""
    largest = max(sizes_kib) * KIB
    buffer = huge_buffer(max(_SAMPLE_BYTES, largest))
    rng = np.random.default_rng(0)
    fill_random(buffer, rng)
    with _scratch_file(folder, buffer) as path, open_engine(depth=depth) as engine:
        file = engine.open(path, writable=False)
        seconds: dict[int, list[float]] = {size: [] for size in sizes_kib}
        for number in range(rounds + 1):
            for size in sizes_kib if number % 2 else reversed(sizes_kib):
                took_s = _sample(engine, file, size * KIB, buffer, rng)
                # The first round only warms up.
                if number:
                    seconds[size].append(took_s)
        stats = engine.stats()
    rates = {size: _SAMPLE_BYTES / float(np.median(took)) / 1e9 for size, took in seconds.items()}
    return BlockSize(choose(rates), _rounded(rates), stats.kind, depth, stats.direct)


def choose(rates_gb_s: dict[int, float]) -> int:
    """Return the smallest size in KiB whose rate is at least 0.9 of the best."""
    best = max(rates_gb_s.values())
    return min(size for size, rate in rates_gb_s.items() if rate >= GOOD_FRAC * best)


def cache_file() -> Path:
    """Return where answers are remembered."""
    return paths.data() / "block_sizes.json"


def _rounded(rates: dict[int, float]) -> dict[str, float]:
    return {str(size): round(rate, 4) for size, rate in rates.items()}


def _sample(
    engine: RealFiles, file: int, block_bytes: int, buffer: memoryview, rng: np.random.Generator
) -> float:
    """Return the seconds that random blocks of one size took, 16 MiB in all."""
    n = max(1, _SAMPLE_BYTES // block_bytes)
    places = rng.integers(0, _FILE_BYTES // block_bytes, n) * block_bytes
    blocks = split(buffer, block_bytes)
    batch = [
        Request("read", file, int(place), blocks[i % len(blocks)]) for i, place in enumerate(places)
    ]
    start = perf_counter()
    done = engine.submit(batch)
    seconds = perf_counter() - start
    check_all(done)
    return seconds * _SAMPLE_BYTES / (n * block_bytes)


@contextlib.contextmanager
def _scratch_file(folder: Path, content: memoryview) -> Iterator[Path]:
    """Lend a file of random bytes on the device, removed in the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".block-size-", buffering=0) as file:
            for _ in range(_FILE_BYTES // len(content)):
                file.write(content)
            os.fsync(file.fileno())
            yield Path(file.name)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise StorageError(
            f"{shown(folder)}: the block size cannot be measured: {why}; "
            f"{_FILE_BYTES >> 20} MiB are needed there"
        ) from error


def _load() -> dict[str, BlockSize]:
    """Return what is remembered; a file that cannot be understood is as good as none."""
    try:
        answer = json.loads(cache_file().read_text(encoding="utf-8"))
        if answer["version"] != _VERSION:
            return {}
        return {name: BlockSize(**found) for name, found in answer["devices"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _save(found: dict[str, BlockSize]) -> None:
    place = cache_file()
    place.parent.mkdir(parents=True, exist_ok=True)
    devices = {name: asdict(one) for name, one in sorted(found.items())}
    partial = place.with_name(f".{place.name}.{os.getpid()}")
    partial.write_text(json.dumps({"version": _VERSION, "devices": devices}, indent=1) + "\n")
    os.replace(partial, place)
