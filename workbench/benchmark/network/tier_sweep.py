"""Time blocks from memory, from the SSD and over the network by block size, beside their ceilings.

Follows: every tier gives the same random blocks into the caller's memory, one at a time (latency)
and all in one call (bandwidth); all sizes, tiers and ceilings take turns in one interleaved run.
Ceilings: a copy kernel; fio at depth 1 and 32, where it is installed; GETs over a plain socket.
Leaves out: a network in between; loopback shows what the tier itself costs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kernels import copy
from workbench.benchmark import metrics
from workbench.benchmark.memory_ceiling import VARIANTS
from workbench.benchmark.network.network_rates import NAMESPACE, value_names
from workbench.benchmark.network.raw_socket import RawSocket
from workbench.benchmark.paired import Case, Samples, interleave, timed
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_files, scratch_folder
from workbench.benchmark.storage import fio
from workbench.tiering.async_io.buffers import fill_random
from workbench.tiering.distributed_tier import EmbeddedServer, NetworkTier, NetworkTierConfig
from workbench.tiering.memory import MIB, allocate
from workbench.tiering.ssd_tier import Attributes, SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.frame import HEADER_BYTES

MEMORY, SSD, NETWORK = "memory", "device", "network"
TIERS = {MEMORY: "memory", SSD: "SSD", NETWORK: "network"}
CEILINGS = {MEMORY: "copy ceiling", SSD: "fio", NETWORK: "socket ceiling"}
RATE, LATENCY = "tier_read", "tier_latency"
MANY, ONE = "many", "one"
FIO_DEPTH = 32
_ONE_BY_ONE = 16
_SEGMENT_BYTES = 16 * MIB
_PATIENCE_S = 5.0

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TierSweepPlan:
    """What is moved.

    Attributes
    ----------
    block_kib : tuple   sizes of blocks, ascending
    round_mib : int     moved by each case a round
    rounds : int
    fio_ms : int        of each run of fio
    """

    block_kib: tuple[int, ...]
    round_mib: int
    rounds: int
    fio_ms: int

    def n_blocks(self, kib: int) -> int:
        """Return how many blocks of one size a round moves."""
        return max(1, self.round_mib * 1024 // kib)

    @property
    def n_bytes(self) -> int:
        """Return the bytes of all blocks of all sizes."""
        return sum(self.n_blocks(kib) * kib << 10 for kib in self.block_kib)


@dataclass(frozen=True, slots=True)
class TierSweep:
    """What `measure` found: rows tier_read (GB/s) and tier_latency (us), a table, and notes."""

    metrics: pl.DataFrame
    table: pl.DataFrame
    notes: tuple[str, ...]


def measure(store: Path, plan: TierSweepPlan, seed: int = 0) -> TierSweep:
    """Time every size on every tier, in one interleaved run.

    Raises
    ------
    MediumError   if a block was missing, or the SSD's reads would come from the page cache

    Cost    ``rounds + 1`` times 7 times ``round_mib`` a size, and two runs of fio a round and size.
    """
    with contextlib.ExitStack() as stack:
        arena = _Arena(stack, store, plan, seed)
        cases = [case for kib in plan.block_kib for case in arena.cases(kib)]
        with meter("tiers by block size", plan.rounds) as on_round:
            samples = interleave(cases, plan.rounds, on_round)
    rows = _rows(samples, plan)
    return TierSweep(rows, _table(rows), _notes(plan))


def case_name(tier: str, kib: int, how: str, *, ceiling: bool = False) -> str:
    """Return the name of a case in the samples."""
    return f"{tier} {kib} {how}{' ceiling' if ceiling else ''}"


class _Arena:
    """The tiers, each with the same blocks of every size."""

    def __init__(
        self, stack: contextlib.ExitStack, store: Path, plan: TierSweepPlan, seed: int
    ) -> None:
        self._stack, self._plan, self._rng = stack, plan, np.random.default_rng(seed)
        self._file: Path | None = None
        if fio.available():
            n_bytes = max(64, 2 * plan.round_mib) * MIB
            files = stack.enter_context(scratch_files(store, {"fio": n_bytes}, seed))
            self._file = files["fio"].path
        capacity = (2 * plan.n_bytes // _SEGMENT_BYTES + 8) * _SEGMENT_BYTES
        folder = stack.enter_context(scratch_folder(store, "tiers", capacity))
        config = SsdTierConfig(capacity, _SEGMENT_BYTES, flush_every_s=None)
        self._ssd = stack.enter_context(SsdTier.open(folder / "store", config))
        if not self._ssd.stats().engine.direct:
            raise MediumError(
                "the SSD tier's reads go through the page cache; choose a store folder on a disk "
                "whose file system has O_DIRECT"
            )
        self._server = stack.enter_context(EmbeddedServer(256 * MIB + 2 * plan.n_bytes))
        settings = NetworkTierConfig(
            self._server.url,
            namespace=NAMESPACE,
            # A busy machine must not turn a slow block into a missing one.
            connect_timeout_s=_PATIENCE_S,
            op_timeout_s=_PATIENCE_S,
            write_queue_bytes=64 * MIB + plan.n_bytes,
            write_queue_blocks=sum(plan.n_blocks(kib) for kib in plan.block_kib),
        )
        self._chunk_bytes = settings.chunk_bytes
        self._network = stack.enter_context(NetworkTier.open(settings, required=True))

    def cases(self, kib: int) -> Iterator[Case]:
        """Store blocks of one size everywhere, and give the cases that get them."""
        n, size = self._plan.n_blocks(kib), kib << 10
        blocks, room = (allocate(n * size).reshape(n, size) for _ in range(2))
        fill_random(blocks.reshape(-1).data, self._rng)
        keys = [self._rng.bytes(32) for _ in range(n)]
        self._keep(keys, blocks)
        held = dict(zip(keys, blocks, strict=True))
        gets: dict[str, Callable[..., object]] = {
            MEMORY: partial(_copied, held),
            SSD: partial(_got, self._ssd),
            NETWORK: partial(_got, self._network),
        }
        few = min(n, _ONE_BY_ONE)
        for tier, get in gets.items():
            one = timed(_one_by_one, get, keys[:few], room)
            yield Case(case_name(tier, kib, ONE), one, few)
            yield Case(case_name(tier, kib, MANY), timed(get, keys, list(room)), n * size)
        copied = copy.KERNEL.variants[VARIANTS["copy"][-1]]
        yield from self._ceiling_of(
            MEMORY,
            kib,
            timed(_each, copied, list(room[:few]), list(blocks[:few])),
            timed(copied, room.reshape(-1), blocks.reshape(-1)),
        )
        values = self._values(keys, size)
        raw = self._stack.enter_context(RawSocket(self._server.port, HEADER_BYTES + size))
        per_block = len(values) // n
        single = timed(raw.get_many, values[: few * per_block], per_block)
        yield from self._ceiling_of(NETWORK, kib, single, timed(raw.get_many, values))
        if self._file is not None:
            yield from _fio_cases(self._file, kib, self._plan.fio_ms)

    def _ceiling_of(
        self, tier: str, kib: int, one: Callable[[], float], many: Callable[[], float]
    ) -> Iterator[Case]:
        n = self._plan.n_blocks(kib)
        yield Case(case_name(tier, kib, ONE, ceiling=True), one, min(n, _ONE_BY_ONE))
        yield Case(case_name(tier, kib, MANY, ceiling=True), many, n * kib << 10)

    def _keep(self, keys: list[bytes], blocks: Bytes) -> None:
        values = [(key, block.data) for key, block in zip(keys, blocks, strict=True)]
        stored = self._ssd.put_many([(*value, Attributes()) for value in values])
        taken = [self._network.put(*value) for value in values]
        if not (all(stored) and all(taken) and self._ssd.flush() and self._network.flush(60.0)):
            raise MediumError("a tier did not take the blocks; check the disk and the memory")

    def _values(self, keys: list[bytes], size: int) -> list[tuple[bytes, int]]:
        """Return names and lengths of the values that blocks lie in."""
        starts = range(0, size, self._chunk_bytes)
        lengths = [min(self._chunk_bytes, size - start) for start in starts]
        lengths[0] += HEADER_BYTES
        names = value_names(keys, size, self._chunk_bytes)
        return list(zip(names, lengths * len(keys), strict=True))


def _copied(held: Mapping[bytes, Bytes], keys: list[bytes], places: list[Bytes]) -> None:
    for key, place in zip(keys, places, strict=True):
        np.copyto(place, held[key])


def _got(tier: SsdTier | NetworkTier, keys: list[bytes], places: list[Bytes]) -> None:
    if None in tier.get_many(keys, [place.data for place in places]):
        raise MediumError("a tier missed a block that it had taken")


def _one_by_one(get: Callable[..., object], keys: list[bytes], room: Bytes) -> None:
    for key, place in zip(keys, room, strict=False):
        get([key], [place])


def _each(copied: Callable[..., object], places: list[Bytes], blocks: list[Bytes]) -> None:
    for place, block in zip(places, blocks, strict=True):
        copied(place, block)


def _fio_cases(file: Path, kib: int, runtime_ms: int) -> Iterator[Case]:
    shallow, deep = (fio.FioJob("read", kib, depth, runtime_ms) for depth in (1, FIO_DEPTH))
    one, many = (case_name(SSD, kib, how, ceiling=True) for how in (ONE, MANY))
    yield Case(one, lambda: fio.run(file, shallow).p50_us / 1e6, 1)
    yield Case(many, lambda: 1 / (fio.run(file, deep).gb_s * 1e9), 1)


def _rows(samples: Samples, plan: TierSweepPlan) -> pl.DataFrame:
    frames = []
    for kib in plan.block_kib:
        for tier in TIERS:
            for is_ceiling in (False, True):
                labels = {"tier": tier, "case": f"block_kib={kib}"}
                labels["variant"] = CEILINGS[tier] if is_ceiling else "tier"
                one, many = (case_name(tier, kib, how, ceiling=is_ceiling) for how in (ONE, MANY))
                if many in samples.seconds:
                    frames.append(metrics.rows(RATE, "GB/s", samples.rate(many) / 1e9, **labels))
                    frames.append(metrics.rows(LATENCY, "us", 1e6 / samples.rate(one), **labels))
    return pl.concat(frames)


def _table(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a line a tier and size: rate and latency, each beside its ceiling."""
    kib = pl.col("case").str.extract(r"block_kib=(\d+)").cast(pl.Int64)
    medians = metrics.summary(rows).with_columns(kib=kib, own=pl.col("variant") == "tier")
    lines = []
    for (tier, size), some in medians.group_by("tier", "kib", maintain_order=True):
        found = {
            (metric, own): value
            for metric, own, value in some.select("metric", "own", "median").iter_rows()
        }
        rate, most = found[RATE, True], found.get((RATE, False))
        lines.append(
            {
                "tier": TIERS[str(tier)],
                "block, KiB": size,
                "GB/s": rate,
                "ceiling, GB/s": most,
                "of ceiling": None if most is None else f"{rate / most:.0%}",
                "one block, µs": found[LATENCY, True],
                "its ceiling, µs": found.get((LATENCY, False)),
                "held against": CEILINGS[str(tier)],
            }
        )
    order = pl.col("tier").replace_strict({name: at for at, name in enumerate(TIERS.values())})
    return pl.DataFrame(lines, infer_schema_length=None).sort(order, maintain_order=True)


def _notes(plan: TierSweepPlan) -> tuple[str, ...]:
    without = () if fio.available() else (f"no ceiling of the SSD: {fio.ENABLE}",)
    return (
        f"{plan.round_mib} MiB of random blocks a case and round; rounds: {plan.rounds}, medians "
        "shown; checksums of blocks from the SSD and the network are verified",
        f"fio: median latency at depth 1, rate at depth {FIO_DEPTH}; socket: GETs whose length is "
        "known beforehand, into the same memory, nothing verified",
        *without,
    )
