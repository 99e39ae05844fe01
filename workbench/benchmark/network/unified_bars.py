"""The named benchmarks of all tiers together: what each measures, and the bar it has to reach.

Follows: what is chosen is held against the better fixed choice, known only afterwards.
Leaves out: the measuring (cold_prefix.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench import paths
from workbench.benchmark.findings import Benchmark, Finding, Preset
from workbench.benchmark.network import cold_prefix
from workbench.benchmark.network.cold_prefix import BOTH, CHOSEN, TIMES_COMPUTING, ColdPrefixPlan
from workbench.benchmark.statistics import Claim
from workbench.inference.model_file import model_file

_MODEL = "smollm2-135m"
_PREFIXES: Mapping[Preset, ColdPrefixPlan] = {
    "tiny": ColdPrefixPlan(tokens=256, rounds=10),
    "standard": ColdPrefixPlan(tokens=1_024, rounds=10),
    "full": ColdPrefixPlan(tokens=2_048, rounds=20),
}
# 1 / 1.05: never more than 5 % worse than the better fixed choice.
CHOICE_BAR, BOTH_BAR = Claim.parse(">= 0.952x"), Claim.parse(">= 1.2x")
_BREAK_EVEN = 1.0


def _choice(preset: Preset) -> list[Finding]:
    plan = _PREFIXES[preset]
    found = cold_prefix.measure(model_file(_MODEL), paths.store(), plan)
    findings = []
    for times in TIMES_COMPUTING:
        case = f"tokens={plan.tokens} loading={times:g}x computing"
        better = found.better(times)
        seconds = 1 / found.samples[times].median_rate(better)
        for way in (CHOSEN, BOTH):
            claim = CHOICE_BAR if way == CHOSEN else BOTH_BAR if times == _BREAK_EVEN else None
            ratio = found.over_better(times, way)
            findings.append(
                Finding(f"{case}: {way} over {better}", ratio, seconds, "s", claim, by_median=True)
            )
    return findings


UNIFIED_BENCHMARKS = (
    Benchmark(
        "load_or_recompute",
        "How near is what is chosen for a cold prefix to the better of loading and computing?",
        f"chosen: {CHOICE_BAR} of the better fixed one; both ends at the break-even: {BOTH_BAR}",
        _choice,
    ),
)
