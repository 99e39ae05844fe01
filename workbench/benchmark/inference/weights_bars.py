"""The named benchmarks of a model's weights: what each measures, and the bar it has to reach.

Follows: storage_bars.py: ratios to fio are judged by their median, beside fio over itself.
Leaves out: the measuring (weights_loading.py, weights_streaming.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench import paths
from workbench.benchmark.findings import Benchmark, Finding, Preset
from workbench.benchmark.inference import weights_loading, weights_streaming
from workbench.benchmark.inference.weights_loading import AHEAD, DIRECT, FAULTED, LoadingPlan
from workbench.benchmark.inference.weights_streaming import (
    CEILING,
    DECODE,
    PREFILL,
    READ,
    RESIDENT,
    STREAMED,
    StreamingPlan,
)
from workbench.benchmark.statistics import Claim
from workbench.inference.model_file import model_file

MODEL = "smollm2-135m"
_LOADS: Mapping[Preset, LoadingPlan] = {
    "tiny": LoadingPlan(16, 10, 200),
    "standard": LoadingPlan(512, 20, 300),
    "full": LoadingPlan(4096, 40, 1000),
}

_STREAMS: Mapping[Preset, StreamingPlan] = {
    "tiny": StreamingPlan(0.6, 2, 64, 10),
    "standard": StreamingPlan(0.5, 16, 512, 12),
    "full": StreamingPlan(0.5, 32, 512, 30),
}

STREAMING_BARS = {DECODE: Claim.parse(">= 0.7x"), PREFILL: Claim.parse(">= 0.9x")}
DIRECT_BAR = Claim.parse(">= 0.8x")


def _cold_load(preset: Preset) -> list[Finding]:
    found = weights_loading.measure(model_file(MODEL), paths.store(), _LOADS[preset])
    beside, samples = found.beside, found.beside.samples
    ceiling, case = beside.ceiling_gb_s, f"{found.n_bytes / 1e6:.0f} MB"
    direct = f"{case} {DIRECT} {found.kind}"
    return [
        Finding(direct, beside.ratio(DIRECT), ceiling, "GB/s", DIRECT_BAR, True),
        Finding(f"{case} {AHEAD}", beside.ratio(AHEAD), ceiling, "GB/s"),
        Finding(f"{case} {FAULTED}", beside.ratio(FAULTED), ceiling, "GB/s"),
        *(
            Finding(
                f"{case} {DIRECT} over {mapped}",
                samples.ratio(DIRECT, mapped),
                samples.median_rate(mapped) / 1e9,
                "GB/s",
            )
            for mapped in (AHEAD, FAULTED)
        ),
        Finding("fio over fio, 1024 KiB, depth 32", beside.spread(), ceiling, "GB/s"),
    ]


def _streaming(preset: Preset) -> list[Finding]:
    found = weights_streaming.measure(model_file(MODEL), _STREAMS[preset])
    weights, findings = found.weights, []
    share = f"{found.plan.budget_frac:.0%} of the weights, {found.threads} threads"
    for name, claim in STREAMING_BARS.items():
        samples = found.samples[name]
        tokens = found.plan.decoded_tokens if name == DECODE else found.plan.prompt_tokens
        case = f"{name} of {tokens} with {share}, {weights.passing_layers} layers pass"
        ceiling = samples.median_rate(CEILING)
        ratio = samples.ratio(STREAMED, CEILING)
        findings.append(Finding(case, ratio, ceiling, "tokens/s", claim, True))
        findings += [
            Finding(f"{case}, beside {other}", samples.ratio(STREAMED, other), rate, "tokens/s")
            for other, rate in ((one, samples.median_rate(one)) for one in (RESIDENT, READ))
        ]
    return findings


WEIGHTS_BENCHMARKS = (
    Benchmark(
        "weights_cold_load",
        "How near does loading weights from a cold disk come to fio, mapped and past the cache?",
        f"median {DIRECT_BAR} of fio by direct reads",
        _cold_load,
    ),
    Benchmark(
        "weights_streaming",
        "How fast is a model whose weights do not fit, beside the slower of computing and reading?",
        f"median {STREAMING_BARS[DECODE]} of it decoding, {STREAMING_BARS[PREFILL]} prefilling",
        _streaming,
    ),
)
