"""Day 1: what this machine does before anything is optimised.

Follows: the sections of the first report: storage sweep, KV store rate, memory footprint, targets.
Leaves out: how things are measured (workbench/benchmark).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from workbench.runs import environment
from workbench.runs.days.day import Day
from workbench.runs.params import DayParams, Preset, param

if TYPE_CHECKING:
    import polars as pl

BlockKib = Literal[4, 16, 64, 256, 1024]


@dataclass(frozen=True, slots=True)
class Day01Plan:
    """What one preset measures, and how often.

    Attributes
    ----------
    block_kib : tuple of int     block sizes of the storage sweep, ascending, KiB
    file_mib : int               size of the file that storage is read from and written to
    sample_mib : int             payload of one timed round, MiB
    rounds : int                 timed rounds of every case, interleaved
    fio_ms, fio_rounds : int     running time of one fio job, milliseconds, and jobs a case
    store_tokens : int           tokens stored in one timed round
    memory_mib : int             size of the buffer that memory is read from and copied to
    hot_tokens : int             tokens that the hot tier holds while storing
    latency_tokens : int         tokens that the real model decodes, each timed
    """

    block_kib: tuple[int, ...]
    file_mib: int
    sample_mib: int
    rounds: int
    fio_ms: int
    fio_rounds: int
    store_tokens: int
    memory_mib: int
    hot_tokens: int
    latency_tokens: int


_PLANS: dict[Preset, Day01Plan] = {
    "tiny": Day01Plan((4, 1024), 64, 1, 10, 80, 1, 4, 64, 64, 2),
    "standard": Day01Plan((4, 16, 64, 256, 1024), 512, 4, 20, 200, 3, 16, 256, 65536, 20),
    "full": Day01Plan((4, 16, 64, 256, 1024), 2048, 16, 40, 1000, 5, 32, 512, 65536, 100),
}


class Day01Params(DayParams):
    """Parameters of Day 1."""

    block_kib: BlockKib = param(16, "block size shown in detail", unit="KiB per block")
    medium: Literal["device", "page_cache"] = param("device", "medium shown in detail")
    model: str = param("smollm2-135m", "model whose memory footprint is projected")
    hot_tokens: int = param(1024, "size of the hot tier", unit="tokens", ge=64, le=65536)
    rounds: int | None = param(None, "timed rounds; None: the preset's", ge=10, le=200)

    def plan(self) -> Day01Plan:
        """Return what the preset measures, with the block size asked for and the rounds given."""
        preset = _PLANS[self.preset]
        return Day01Plan(
            block_kib=tuple(sorted({*preset.block_kib, self.block_kib})),
            file_mib=preset.file_mib,
            sample_mib=preset.sample_mib,
            rounds=self.rounds or preset.rounds,
            fio_ms=preset.fio_ms,
            fio_rounds=preset.fio_rounds,
            store_tokens=preset.store_tokens,
            memory_mib=preset.memory_mib,
            # One token of the seed geometry takes 1 MiB, so the small preset also caps memory.
            hot_tokens=min(self.hot_tokens, preset.hot_tokens),
            latency_tokens=preset.latency_tokens,
        )


DAY01 = Day(
    name="day01",
    title="Day 1: baseline",
    question="Where are we? Storage sweep, KV store rate and memory footprint of this machine.",
    claim="Every number stands beside its ceiling, and the top three bottlenecks are ranked.",
    notebook="day01_baseline.ipynb",
    params=Day01Params,
    cell_timeout_s=1200,
)


# One point needs no large file; the sweep's own size is for steady figures.
_BLOCK_FILE_MIB = 64


def measure_block(params: Day01Params) -> pl.DataFrame:
    """Measure one block size as the sweep does: a row a direction, for the medium asked for.

    Cost    about 3 s with preset tiny, 15 s with standard.
    """
    from workbench.benchmark.storage import storage_sweep

    plan = replace(params.plan(), block_kib=(params.block_kib,), file_mib=_BLOCK_FILE_MIB)
    store = environment.resolve_store(params.store)
    sweep = storage_sweep.measure(store, plan, params.seed)
    return sweep.table.filter(sweep.table["medium"] == params.medium)
