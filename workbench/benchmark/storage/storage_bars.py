"""The named benchmarks of the storage tier: what each measures, and the bar it has to reach.

Follows: ratios to fio, and small costs, are judged by their median over alternating rounds, beside
the same thing over itself, which on a shared disk would miss such a bar by its interval.
Leaves out: the measuring (engine_rates, sequence_restore, restore, store_opening).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from workbench import paths
from workbench.benchmark.findings import SECONDS, Benchmark, Finding, Preset
from workbench.benchmark.statistics import Claim, bootstrap_ratio
from workbench.benchmark.storage import engine_rates, restore, sequence_restore, store_opening
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.engine_rates import ENGINE, RatesPlan
from workbench.benchmark.storage.restore import RestorePlan
from workbench.benchmark.storage.restore_variants import (
    BLOCK_SIZE,
    MERGING,
    QUEUE_DEPTH,
    READ_AHEAD,
    SAME_AGAIN,
    SCHEDULER,
    SYNCHRONOUS,
)
from workbench.benchmark.storage.restore_workloads import SCATTERED, SEQUENTIAL
from workbench.benchmark.storage.sequence_restore import GIVEN, POOLED, SequencePlan
from workbench.benchmark.storage.store_opening import (
    FROM_HEADERS,
    FROM_SNAPSHOT,
    OpeningPlan,
    StoreOpening,
)
from workbench.tiering.async_io.engine import Op

_SIZES_KIB = (4, 16, 64, 256, 1024)
_RATES: Mapping[Preset, RatesPlan] = {
    "tiny": RatesPlan((4, 64), 64, 10, 50),
    "standard": RatesPlan(_SIZES_KIB, 512, 10, 300),
    "full": RatesPlan(_SIZES_KIB, 2048, 20, 1000),
}
_SEQUENCES: Mapping[Preset, SequencePlan] = {
    "tiny": SequencePlan(512, 10, 50),
    "standard": SequencePlan(4096, 20, 300),
    "full": SequencePlan(4096, 40, 1000),
}
_RESTORES: Mapping[Preset, RestorePlan] = {
    "tiny": RestorePlan((SEQUENTIAL,), tokens=512, rounds=10, fio_runs=0),
    "standard": RestorePlan((SEQUENTIAL,), tokens=4096, rounds=20, fio_runs=0),
    "full": RestorePlan((SEQUENTIAL,), tokens=4096, rounds=40, fio_runs=0),
}
# A small cost among a shared disk's noise needs many rounds.
_OVERHEADS: Mapping[Preset, RestorePlan] = {
    "tiny": RestorePlan((SCATTERED,), block_kib=16, tokens=1024, rounds=20, fio_runs=0),
    "standard": RestorePlan((SCATTERED,), block_kib=16, tokens=4096, rounds=250, fio_runs=0),
    "full": RestorePlan((SCATTERED,), block_kib=16, tokens=4096, rounds=500, fio_runs=0),
}
_OPENINGS: Mapping[Preset, OpeningPlan] = {
    "tiny": OpeningPlan(2_000, 10, 50),
    "standard": OpeningPlan(100_000, 10, 200),
    "full": OpeningPlan(100_000, 20, 500),
}
# Seconds that opening a store of so many blocks may take; other sizes have no bar.
_JUDGED_BLOCKS = 100_000
_LIMITS_S = {FROM_SNAPSHOT: 0.1, FROM_HEADERS: 10.0}

READ_BAR, WRITE_BAR = Claim.parse(">= 0.95x"), Claim.parse(">= 0.9x")
SEQUENCE_BAR = Claim.parse(">= 0.8x")
RESTORE_BAR = Claim.parse(">= 1.3x")
OVERHEAD_BAR = Claim.parse(">= 0.97x")
OPENING_BAR = Claim.parse(">= 1x")


def _rates(op: Op, claim: Claim, preset: Preset) -> list[Finding]:
    findings = []
    for rate in engine_rates.measure(paths.store(), op, _RATES[preset]):
        beside = rate.beside
        case = f"block_kib={rate.block_kib} depth={engine_rates.DEPTH}"
        ours = beside.ratio(ENGINE)
        findings += [
            Finding(f"{case} {rate.kind}", ours, beside.ceiling_gb_s, "GB/s", claim, True),
            _spread(f"{case} fio over fio", beside),
        ]
    return findings


def _spread(case: str, beside: BesideFio) -> Finding:
    return Finding(case, beside.spread(), beside.ceiling_gb_s, "GB/s")


def _restore_sequence(preset: Preset) -> list[Finding]:
    plan = _SEQUENCES[preset]
    found = sequence_restore.measure(paths.store(), plan)
    beside, case = found.beside, f"tokens={plan.tokens} {found.kind}"
    given, pooled = beside.ratio(GIVEN), beside.ratio(POOLED)
    return [
        Finding(f"{case} {GIVEN}", given, beside.ceiling_gb_s, "GB/s", SEQUENCE_BAR, True),
        Finding(f"{case} {POOLED}", pooled, beside.ceiling_gb_s, "GB/s"),
        _spread(f"fio over fio, {found.request_kib} KiB, depth {sequence_restore.DEPTH}", beside),
    ]


def _day02(preset: Preset) -> list[Finding]:
    plan = _RESTORES[preset]
    found = restore.measure(paths.store(), plan)
    samples = found.groups[0].samples
    best = found.best(SEQUENTIAL)
    findings = []
    # One block at a time, in blocks as large as the optimised ones, and in Day 1's.
    for baseline, block_kib in ((BLOCK_SIZE, found.block_kib), (SYNCHRONOUS, 16)):
        case = f"{best} over one block of {block_kib} KiB at a time"
        ratio = found.ratio(SEQUENTIAL, best, baseline)
        ceiling = samples.median_rate(baseline) / 1e9
        findings.append(Finding(case, ratio, ceiling, "GB/s", RESTORE_BAR))
    return findings


def _prefetch_overhead(preset: Preset) -> list[Finding]:
    found = restore.measure(paths.store(), _OVERHEADS[preset])
    samples = found.groups[0].samples
    return [
        Finding(
            f"{name} over {without}, random reads of 16 KiB",
            found.ratio(SCATTERED, name, without),
            samples.median_rate(without) / 1e9,
            "GB/s",
            OVERHEAD_BAR if name == READ_AHEAD else None,
            by_median=True,
        )
        for name, without in (
            (READ_AHEAD, SCHEDULER),
            (MERGING, SCHEDULER),
            (SCHEDULER, QUEUE_DEPTH),
            (SAME_AGAIN, QUEUE_DEPTH),
        )
    ]


def _recovery(preset: Preset) -> list[Finding]:
    found = store_opening.measure(paths.store(), _OPENINGS[preset])
    findings = [
        finding for name in (FROM_SNAPSHOT, FROM_HEADERS) for finding in _opening(found, name)
    ]
    return [*findings, _spread("fio over fio, 1024 KiB, depth 32", found.beside)]


def _opening(found: StoreOpening, name: str) -> list[Finding]:
    """Hold one way of opening against its limit, and against the device's time for the bytes."""
    samples, case = found.beside.samples, f"blocks={found.n_blocks} {name}"
    limit_s = _LIMITS_S[name]
    claim = OPENING_BAR if found.n_blocks == _JUDGED_BLOCKS else None
    seconds = samples.seconds[name]
    in_limit = bootstrap_ratio(limit_s / seconds, np.ones_like(seconds))
    device_s = samples.work[name] / (found.beside.ceiling_gb_s * 1e9)
    device = found.beside.ratio(name)
    return [
        Finding(f"{case}, limit", in_limit, limit_s, SECONDS, claim, True),
        Finding(f"{case}, fio for the same bytes", device, device_s, SECONDS),
    ]


STORAGE_BENCHMARKS = (
    Benchmark(
        "storage_read",
        "How near do random reads at depth 32 come to fio's, past the page cache?",
        f"median {READ_BAR} of fio at every block size",
        partial(_rates, "read", READ_BAR),
    ),
    Benchmark(
        "storage_write",
        "How near do random writes at depth 32 come to fio's, past the page cache?",
        f"median {WRITE_BAR} of fio at every block size",
        partial(_rates, "write", WRITE_BAR),
    ),
    Benchmark(
        "restore_sequence",
        "How near does getting a 4,096-token sequence, every checksum verified, come to fio?",
        f"median {SEQUENCE_BAR} of fio, into huge pages",
        _restore_sequence,
    ),
    Benchmark(
        "day02",
        "How much faster is the best restore than one synchronous block at a time?",
        f"{RESTORE_BAR}, also against blocks of the same size",
        _day02,
    ),
    Benchmark(
        "prefetch_overhead",
        "What does read-ahead cost where there is nothing to foresee?",
        f"median {OVERHEAD_BAR} of the same reads without it",
        _prefetch_overhead,
    ),
    Benchmark(
        "recovery",
        "How long does a store of 100,000 blocks take to open?",
        "0.1 s from the index snapshot, 10 s by header scan",
        _recovery,
    ),
)
