"""The named benchmarks of sealed blocks: what each measures, and the bar it has to reach.

Follows: what runs beside fio, on a shared disk, is judged by its median (storage_bars.py).
Leaves out: the measuring (sealed_restore.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench import paths
from workbench.benchmark.findings import Benchmark, Finding, Preset
from workbench.benchmark.statistics import Claim
from workbench.benchmark.storage import sealed_restore
from workbench.benchmark.storage.sealed_restore import COPY, OPEN, PLAIN, SEAL, SEALED
from workbench.benchmark.storage.sequence_restore import DEPTH, SequencePlan

_SEQUENCES: Mapping[Preset, SequencePlan] = {
    "tiny": SequencePlan(512, 10, 50),
    "standard": SequencePlan(4096, 20, 300),
    "full": SequencePlan(4096, 40, 1000),
}
# Blocks of 64 tokens, and rounds.
_RATES: Mapping[Preset, tuple[int, int]] = {"tiny": (4, 10), "standard": (32, 20), "full": (64, 40)}
_THREADS = (1, 2)
PLAIN_BAR, SEALED_BAR = Claim.parse(">= 0.8x"), Claim.parse(">= 0.7x")


def _restore(preset: Preset) -> list[Finding]:
    plan = _SEQUENCES[preset]
    found = sealed_restore.measure(paths.store(), plan)
    beside, case = found.beside, f"tokens={plan.tokens} {found.kind}"
    ceiling = beside.ceiling_gb_s
    plain, sealed = beside.ratio(PLAIN), beside.ratio(SEALED)
    over_plain = beside.samples.ratio(SEALED, PLAIN)
    plain_gb_s = beside.samples.median_rate(PLAIN) / 1e9
    fio_case = f"fio over fio, {found.request_kib} KiB, depth {DEPTH}"
    return [
        Finding(f"{case} {PLAIN}", plain, ceiling, "GB/s", PLAIN_BAR, True),
        Finding(f"{case} {SEALED}", sealed, ceiling, "GB/s", SEALED_BAR, True),
        Finding(f"{case} {SEALED} over {PLAIN}", over_plain, plain_gb_s, "GB/s"),
        Finding(fio_case, beside.spread(), ceiling, "GB/s"),
    ]


def _speed(preset: Preset) -> list[Finding]:
    findings = []
    for threads in _THREADS:
        samples = sealed_restore.measure_rates(*_RATES[preset], threads)
        ceiling = samples.median_rate(COPY) / 1e9
        findings += [
            Finding(f"{name} threads={threads}", samples.ratio(name, COPY), ceiling, "GB/s")
            for name in (SEAL, OPEN)
        ]
    return findings


SEALING_BENCHMARKS = (
    Benchmark(
        "sealed_restore",
        "What do checksums, and AES-256-GCM, leave of fio's rate when a cold 4,096-token sequence "
        "is restored?",
        f"median {PLAIN_BAR} of fio with checksums, {SEALED_BAR} sealed, into huge pages",
        _restore,
    ),
    Benchmark(
        "seal_speed",
        "How fast are blocks of 64 tokens sealed and opened, beside a copy of the same bytes?",
        "none: AES-256-GCM runs at the speed of the processor's AES, whatever a copy does",
        _speed,
    ),
)
