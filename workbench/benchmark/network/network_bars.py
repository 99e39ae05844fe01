"""The named benchmarks of the network tier: what each measures, and the bar it has to reach.

Follows: a rate is held against the raw client's, by its median, beside the raw client over itself;
a time against its limit, so that a ratio of 1 or more is within it, and the limit is the ceiling.
The worst round stands beside it: on a busy machine it tells of the others, on a quiet one of us.
Leaves out: the measuring (network_rates.py, network_outage.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workbench.benchmark.findings import SECONDS, Benchmark, Finding, Preset
from workbench.benchmark.network import network_outage, network_rates
from workbench.benchmark.network.network_outage import FIRST, OutagePlan
from workbench.benchmark.network.network_rates import BATCH, ONE, RAW, RAW_AGAIN, RatesPlan
from workbench.benchmark.network.outage_limits import (
    FIRST_LIMIT_S,
    LATER_LIMIT_S,
    RECOVERY_LIMIT_S,
)
from workbench.benchmark.statistics import Claim, Ratio, bootstrap_ratio

GET_BAR, LIMIT_BAR = Claim.parse(">= 0.8x"), Claim.parse(">= 1x")
_JUDGED_KIB = 1024
_RATES: Mapping[Preset, tuple[tuple[int, ...], int, int]] = {
    # KiB a block, MiB a round, rounds
    "tiny": ((1024,), 16, 10),
    "standard": ((64, 256, 1024, 4096), 32, 20),
    "full": ((16, 64, 256, 1024, 4096), 64, 40),
}
_OUTAGES: Mapping[Preset, OutagePlan] = {
    "tiny": OutagePlan(rounds=10, later_requests=20),
    "standard": OutagePlan(rounds=15, later_requests=200),
    "full": OutagePlan(rounds=30, later_requests=1000),
}


def _get(preset: Preset) -> list[Finding]:
    sizes_kib, round_mib, rounds = _RATES[preset]
    findings = []
    for kib in sizes_kib:
        blocks = max(1, round_mib * 1024 // kib)
        samples = network_rates.measure(RatesPlan(kib << 10, blocks, rounds))
        ceiling = samples.median_rate(RAW) / 1e9
        claim = GET_BAR if kib == _JUDGED_KIB else None
        for name in (ONE, BATCH, RAW_AGAIN):
            judged = None if name == RAW_AGAIN else claim
            case = f"block={kib} KiB {name}"
            ratio = samples.ratio(name, RAW)
            findings.append(Finding(case, ratio, ceiling, "GB/s", judged, by_median=True))
    return findings


def _faults(preset: Preset) -> list[Finding]:
    found = network_outage.measure(_OUTAGES[preset])
    added = "frozen: added to"
    times = [(f"{added} request {n + 1}", found.first_s[:, n], FIRST_LIMIT_S) for n in range(FIRST)]
    times += [
        (f"{added} the slowest later request", found.later_s, LATER_LIMIT_S),
        ("thawed: until the first hit", found.recovery_s, RECOVERY_LIMIT_S),
    ]
    return [finding for time in times for finding in _within(*time)]


def _within(what: str, seconds: NDArray[np.float64], limit_s: float) -> list[Finding]:
    """Hold a time against its limit, and show the worst round's beside it."""
    in_limit = limit_s / seconds
    ratio = bootstrap_ratio(in_limit, np.ones_like(seconds))
    worst = Ratio(in_limit.min(), in_limit.min(), in_limit.min(), len(seconds))
    return [
        Finding(f"{what}, limit", ratio, limit_s, SECONDS, LIMIT_BAR, by_median=True),
        Finding(f"{what}, worst round", worst, limit_s, SECONDS),
    ]


NETWORK_BENCHMARKS = (
    Benchmark(
        "network_get",
        "How near does a block from the network tier come to the raw client's GET of it?",
        f"1 MiB blocks on loopback, singly and in one call: median {GET_BAR} of valkey-py's GET",
        _get,
    ),
    Benchmark(
        "network_faults",
        "What does a frozen server cost the requests that meet it, and how soon is it found again?",
        f"first three requests within {FIRST_LIMIT_S * 1e3:g} ms each, later ones within "
        f"{LATER_LIMIT_S * 1e3:g} ms, recovery within {RECOVERY_LIMIT_S:g} s: median {LIMIT_BAR}",
        _faults,
    ),
)
