"""The named benchmarks of inference: ours beside llama.cpp and transformers, resume, tiers, memory.

Follows: rounds alternate in one run, so only ratios count; a peer that is not installed is named
with the command that installs it, its row shows our rate alone and judges nothing.
Leaves out: the measuring (decode_rates, prefill_rates, model_load, resume, tiering_cost,
peak_memory) and the peers (benchmark/peers).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from workbench import paths
from workbench.benchmark.findings import MEMORY, SECONDS, Benchmark, Finding, Preset
from workbench.benchmark.inference import (
    decode_rates,
    model_load,
    peak_memory,
    prefill_rates,
    resume,
    tiering_cost,
)
from workbench.benchmark.inference.decode_rates import DecodePlan
from workbench.benchmark.inference.model_load import LoadPlan
from workbench.benchmark.inference.own_engine import OURS
from workbench.benchmark.inference.prefill_rates import PrefillPlan
from workbench.benchmark.inference.resume import ResumePlan
from workbench.benchmark.inference.tiering_cost import CostPlan
from workbench.benchmark.paired import Samples
from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.peer import Peer
from workbench.benchmark.peers.torch_peer import TorchPeer
from workbench.benchmark.statistics import Claim, Ratio
from workbench.inference.model_file import model_file

MODEL = "smollm2-135m"

_DECODES: Mapping[Preset, DecodePlan] = {
    "tiny": DecodePlan((128,), (1,), 4, 10),
    "standard": DecodePlan((128, 2048), (1, 2), 16, 10),
    "full": DecodePlan((128, 2048), (1, 2), 32, 30),
}
_PREFILLS: Mapping[Preset, PrefillPlan] = {
    "tiny": PrefillPlan((128,), 10),
    "standard": PrefillPlan((512, 2048), 10),
    "full": PrefillPlan((512, 2048), 20),
}
_LOADS: Mapping[Preset, LoadPlan] = {
    "tiny": LoadPlan(512, 10),
    "standard": LoadPlan(2048, 20),
    "full": LoadPlan(2048, 40),
}
_RESUMES: Mapping[Preset, ResumePlan] = {
    "tiny": ResumePlan((128,), 10),
    "standard": ResumePlan((1024, 4096), 10),
    "full": ResumePlan((512, 1024, 2048, 4096), 20),
}
_RESTORES: Mapping[Preset, ResumePlan] = {
    "tiny": ResumePlan((128,), 10),
    "standard": ResumePlan((1024, 4096), 20),
    "full": ResumePlan((1024, 4096), 40),
}
_COSTS: Mapping[Preset, CostPlan] = {
    "tiny": CostPlan(128, 4, 10),
    "standard": CostPlan(512, 32, 30),
    "full": CostPlan(512, 32, 100),
}
# Tokens of context, and processes of each engine.
_PEAKS: Mapping[Preset, tuple[int, int]] = {
    "tiny": (128, 1),
    "standard": (2048, 3),
    "full": (4096, 5),
}

DECODE_BAR, PREFILL_BAR = Claim.parse(">= 1.2x"), Claim.parse(">= 2.5x")
TORCH_BAR = LOAD_BAR = Claim.parse(">= 1x")
# By length in tokens; other lengths have no bar.
RECOMPUTE_BARS = {1024: Claim.parse(">= 10x"), 4096: Claim.parse(">= 30x")}
# Times over ours: at most 1.2 of llama.cpp's time, and less than it at int8.
RESTORE_BARS = {"float16": Claim.parse(">= 0.8333x"), "int8": Claim.parse(">= 1x")}
COST_BAR = Claim.parse(">= 0.9709x")  # at most 1.03 of the time
MEMORY_BAR = Claim.parse(">= 0.6667x")  # at most 1.5 of the memory


def _beside(
    case: str, samples: Samples, peer: type[Peer], claim: Claim | None, how: str = ""
) -> Finding:
    """Hold our rate against a peer's, or show it alone and say how to get the peer."""
    if peer.name not in samples.seconds:
        return _alone(case, samples.median_rate(OURS), "tokens/s", peer)
    ratio = samples.ratio(OURS, peer.name)
    name = f"{case} over {peer.name}{how}"
    return Finding(name, ratio, samples.median_rate(peer.name), "tokens/s", claim, True)


def _alone(case: str, value: float, unit: str, peer: type[Peer]) -> Finding:
    absent = f"{case}; {peer.name} is not installed, to enable: {peer.enable}"
    return Finding(absent, Ratio(1.0, 1.0, 1.0, 0), value, unit)


def _attention(flash: bool) -> str:
    return f", flash attention {'on' if flash else 'off'}"


def _decode(preset: Preset) -> list[Finding]:
    return [
        _beside(
            f"context={one.context_tokens} threads={one.threads}",
            one.samples,
            LlamaCppPeer,
            DECODE_BAR,
            _attention(one.flash_attention),
        )
        for one in decode_rates.measure(model_file(MODEL), _DECODES[preset])
    ]


def _prefill(peer: type[Peer], claim: Claim, preset: Preset) -> list[Finding]:
    is_llama = peer is LlamaCppPeer
    return [
        _beside(
            f"tokens={one.n_tokens} threads={one.threads}",
            one.samples,
            peer,
            claim,
            _attention(one.flash_attention) if is_llama else ", float32",
        )
        for one in prefill_rates.measure(model_file(MODEL), peer, _PREFILLS[preset])
    ]


def _load(preset: Preset) -> list[Finding]:
    plan, path = _LOADS[preset], model_file(MODEL)
    samples = model_load.measure(path, plan)
    case = f"load to first token, context={plan.context_tokens}"
    if LlamaCppPeer.name in samples.seconds:
        theirs = float(np.median(samples.seconds[LlamaCppPeer.name]))
        ratio = samples.ratio(OURS, LlamaCppPeer.name)
        name = f"{case}, over {LlamaCppPeer.name}"
        findings = [Finding(name, ratio, theirs, SECONDS, LOAD_BAR, True)]
    else:
        ours = float(np.median(samples.seconds[OURS]))
        findings = [_alone(case, ours, SECONDS, LlamaCppPeer)]
    if preset != "tiny":
        compiling = "kernels compiled at the very first use, apart"
        once = Ratio(1.0, 1.0, 1.0, 1)
        findings.append(Finding(compiling, once, model_load.compile_s(path), SECONDS))
    return findings


def _resume(preset: Preset) -> list[Finding]:
    found = resume.against_recompute(model_file(MODEL), paths.store(), _RESUMES[preset])
    return [
        Finding(
            f"tokens={n_tokens} to the first token, recomputed over resumed",
            samples.ratio(resume.RESUMED, resume.RECOMPUTED),
            float(np.median(samples.seconds[resume.RECOMPUTED])),
            SECONDS,
            RECOMPUTE_BARS.get(n_tokens),
            True,
        )
        for n_tokens, samples in found.items()
    ]


def _restore(preset: Preset) -> list[Finding]:
    plan = _RESTORES[preset]
    findings = []
    for dtype, claim in RESTORE_BARS.items():
        ours = ResumePlan(plan.lengths, plan.rounds, dtype)
        found = resume.against_llamacpp(model_file(MODEL), paths.store(), ours)
        findings += [_restored(n, dtype, samples, claim) for n, samples in found.items()]
    return findings


def _restored(n_tokens: int, dtype: str, samples: Samples, claim: Claim) -> Finding:
    case = f"tokens={n_tokens} {dtype}"
    if resume.PEER_RESTORED not in samples.seconds:
        ours = float(np.median(samples.seconds[resume.RESTORED]))
        return _alone(case, ours, SECONDS, LlamaCppPeer)
    theirs = float(np.median(samples.seconds[resume.PEER_RESTORED]))
    ratio = samples.ratio(resume.RESTORED, resume.PEER_RESTORED)
    return Finding(f"{case} over {resume.PEER_RESTORED}", ratio, theirs, SECONDS, claim, True)


def _cost(preset: Preset) -> list[Finding]:
    plan = _COSTS[preset]
    samples = tiering_cost.measure(model_file(MODEL), paths.store(), plan)
    rate = samples.median_rate(tiering_cost.MEMORY_ONLY)
    case = f"prompt={plan.prompt_tokens} decoded={plan.decoded_tokens}"
    return [
        Finding(
            f"{case} {name} over memory only",
            samples.ratio(name, tiering_cost.MEMORY_ONLY),
            rate,
            "tokens/s",
            COST_BAR if name == tiering_cost.TIERED else None,
            True,
        )
        for name in (tiering_cost.TIERED, tiering_cost.AGAIN)
    ]


def _peak(preset: Preset) -> list[Finding]:
    context_tokens, runs = _PEAKS[preset]
    found = peak_memory.measure(model_file(MODEL), context_tokens, runs)
    case = f"context={context_tokens} peak resident memory"
    if not len(found.peer_bytes):
        return [_alone(case, float(np.median(found.ours_bytes)) / 1e6, MEMORY, LlamaCppPeer)]
    ratios = found.peer_bytes / found.ours_bytes
    ratio = Ratio(float(np.median(ratios)), float(ratios.min()), float(ratios.max()), runs)
    theirs = float(np.median(found.peer_bytes)) / 1e6
    return [Finding(f"{case} over {LlamaCppPeer.name}", ratio, theirs, MEMORY, MEMORY_BAR, True)]


INFERENCE_BENCHMARKS = (
    Benchmark(
        "decode_vs_llamacpp",
        "How fast does the real model decode, beside llama.cpp at its best on the same file?",
        f"median {DECODE_BAR} at every context and thread count",
        _decode,
    ),
    Benchmark(
        "prefill_vs_llamacpp",
        "How fast does it compute prompts, beside llama.cpp at its best on the same Q4_1 file?",
        f"median {PREFILL_BAR}",
        partial(_prefill, LlamaCppPeer, PREFILL_BAR),
    ),
    Benchmark(
        "prefill_vs_torch",
        "How fast does it compute prompts, beside transformers in float32?",
        f"median {TORCH_BAR}",
        partial(_prefill, TorchPeer, TORCH_BAR),
    ),
    Benchmark(
        "load_vs_llamacpp",
        "How long does it take from a model's file to the first token, beside llama.cpp?",
        f"median {LOAD_BAR} (its time over ours); compiling is shown apart",
        _load,
    ),
    Benchmark(
        "resume_vs_recompute",
        "How much sooner is the first token there when the text is resumed from a cold SSD?",
        "median >= 10x at 1,024 tokens, >= 30x at 4,096",
        _resume,
    ),
    Benchmark(
        "resume_vs_llamacpp",
        "How long does a cold restore take, beside llama.cpp's restore of its own state file?",
        "median >= 0.83x (its time over ours: at most 1.2 of it), int8 >= 1x",
        _restore,
    ),
    Benchmark(
        "tiering_cost",
        "What do the tiers cost when nothing is ever reused?",
        "median >= 0.97x of the rate without them (at most 1.03 of the time)",
        _cost,
    ),
    Benchmark(
        "rss_vs_llamacpp",
        "How much memory does it take at its highest, beside llama.cpp at the same context?",
        "median >= 0.67x (its peak over ours: at most 1.5 of it)",
        _peak,
    ),
)
