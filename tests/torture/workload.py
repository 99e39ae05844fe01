"""Work on a real store in a process of its own, telling a pipe what is promised, until killed.

Follows: RocksDB's db_crashtest: the parent knows what was acknowledged.
Leaves out: the killing (kills.py).
"""

from __future__ import annotations

import os
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.torture.history import History, Step, Verb, perform
from tests.torture.stores import MASTER
from workbench.tiering.async_io.engine import Engine
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.async_io.threads import ThreadEngine
from workbench.tiering.encryption import StoreSealing
from workbench.tiering.ssd_tier import SsdTier, SsdTierConfig

MIB = 1 << 20
N_KEYS = 24
# Live blocks fill less than half: nothing need ever be evicted, so everything must be found.
CONFIG = SsdTierConfig(
    capacity_bytes=9 * MIB,
    segment_bytes=MIB,
    max_blocks=256,
    flush_every_s=None,
    snapshot_every_segments=2,
    pool_bytes=8 * MIB,
)
_LENGTHS = (0, 100, 4096, 20000, 70000, 140000)
_VERBS: tuple[Verb, ...] = ("put", "delete", "flush")
# A record: is it done (1) or begun (0), verb, key, version, length, did it go well, evictions.
_RECORD = struct.Struct("<BBHIIBH")


def engine_of(kind: str) -> Engine:
    """Return an engine on real files by its name."""
    if kind == "threads":
        return ThreadEngine(depth=4)
    if kind == "io_uring":
        from workbench.tiering.async_io.io_uring import UringEngine

        return UringEngine(depth=8)
    return SynchronousEngine()


def warm_up(kind: str) -> None:
    """Load and compile what an engine needs, so that forked workers need not."""
    if kind == "io_uring":
        with (
            tempfile.TemporaryDirectory() as name,
            SsdTier.open(Path(name) / "store", CONFIG, engine_of(kind)) as tier,
        ):
            tier.put(bytes(32), bytes(100000))
            tier.get(bytes(32))


def opener(folder: Path, kind: str, is_sealed: bool) -> Callable[[], SsdTier]:
    """Return what opens a store, each time with an engine of its own."""

    def opens() -> SsdTier:
        sealing = StoreSealing(MASTER) if is_sealed else None
        return SsdTier.open(folder, CONFIG, engine_of(kind), sealing=sealing)

    return opens


def work(opens: Callable[[], SsdTier], seed: int, first_version: int, pipe: int) -> None:
    """Put, delete, flush, and sometimes close and open again; for ever."""
    rng = random.Random(seed)
    tier = opens()
    os.write(pipe, _RECORD.pack(1, 9, 0, 0, 0, 1, 0))
    version = first_version
    while True:
        version += 1
        verb = rng.choices(_VERBS, (8, 1, 2))[0]
        step = Step(verb, rng.randrange(N_KEYS), version, rng.choice(_LENGTHS))
        fields = (_VERBS.index(verb), step.number, version, step.n_bytes)
        os.write(pipe, _RECORD.pack(0, *fields, 1, 0))
        good = perform(tier, step)
        counts = tier.stats().counts
        evicted = min(counts.blocks_evicted + counts.blocks_dropped, 0xFFFF)
        os.write(pipe, _RECORD.pack(1, *fields, good, evicted))
        if rng.random() < 0.03:
            tier.close()
            tier = opens()


def replay(raw: bytes, history: History, position: int) -> tuple[int, int]:
    """Enter what a workload told into a history; return its last position and version."""
    version = 0
    begun: tuple[Step, int] | None = None
    for done, verb, number, version_told, n_bytes, good, evicted in _RECORD.iter_unpack(
        raw[: len(raw) // _RECORD.size * _RECORD.size]
    ):
        position += 1
        if verb == 9:
            continue
        step = Step(_VERBS[verb], number, version_told, n_bytes)
        version = version_told
        if not done:
            begun = (step, position)
            continue
        assert begun is not None
        history.note(step, begun[1], position, bool(good))
        if evicted:
            history.evictions.append(begun[1])
        begun = None
    if begun is not None:
        # It was under way when the process died.
        history.note(begun[0], begun[1], 1 << 62, True)
        position += 1
    return position, version
