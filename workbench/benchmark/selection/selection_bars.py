"""The named benchmark of partial loading: bytes that a token reads, and what its answer is worth.

Follows: both halves of one bar, bytes and quality, judged on the same run.
Leaves out: the measuring (partial_loading.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench import paths
from workbench.benchmark.findings import Benchmark, Finding, Preset
from workbench.benchmark.selection import layer_needs, partial_loading, real_text
from workbench.benchmark.selection.cold_text import ColdLayout
from workbench.benchmark.selection.layer_needs import NeedsPlan
from workbench.benchmark.selection.partial_outcomes import MOST_FRAC, MOST_KL, PartialLoading
from workbench.benchmark.selection.ways import BY_NEED, EVERYTHING, Way
from workbench.benchmark.statistics import Claim, Ratio
from workbench.inference.llama import LlamaModel
from workbench.inference.model_file import model_file

MODEL = "smollm2-135m"
BYTES_BAR, KL_BAR = Claim.parse(f"<= {MOST_FRAC}x"), Claim.parse("<= 1x")


@dataclass(frozen=True, slots=True)
class _Plan:
    context_tokens: int
    calibration_tokens: int
    decoded_tokens: int
    texts: int
    recent_tokens: int = 256


_PLANS: Mapping[Preset, _Plan] = {
    "tiny": _Plan(256, 2, 4, 1, 32),
    "standard": _Plan(4096, 24, 64, 3),
    "full": _Plan(4096, 48, 128, 6),
}


def _partial_loading(preset: Preset) -> list[Finding]:
    plan = _PLANS[preset]
    found = _measure(plan)
    everything, chosen = found.outcomes.values()
    case = f"context={plan.context_tokens} {BY_NEED} of {MOST_FRAC:.0%}"
    whole = len(chosen.token_s)
    frac = Ratio(chosen.read_frac, chosen.read_frac, chosen.read_frac, whole)
    rate = 1 / float(np.median(everything.token_s))
    times = float(np.median(everything.token_s) / np.median(chosen.token_s))
    return [
        Finding(f"{case}: bytes read", frac, everything.read_bytes, "bytes/token", BYTES_BAR),
        Finding(
            f"{case}: KL over {MOST_KL:g}", chosen.kl_over(MOST_KL), MOST_KL, "nats", KL_BAR, True
        ),
        Finding(f"{case}: tokens", Ratio(times, times, times, whole), rate, "tokens/s"),
    ]


def _measure(plan: _Plan) -> PartialLoading:
    path = model_file(MODEL)
    layout = ColdLayout(recent_tokens=plan.recent_tokens)
    all_ways = [Way(EVERYTHING, 1.0, layout), Way(BY_NEED, MOST_FRAC, layout)]

    def stretch(number: int, decoded: int) -> tuple[list[int], list[int]]:
        ids = real_text.token_ids(path, plan.context_tokens + decoded, number)
        return ids[: plan.context_tokens], ids[plan.context_tokens :]

    with LlamaModel.open(path) as model:
        ids, following = stretch(0, plan.calibration_tokens)
        settings = NeedsPlan(recent_tokens=plan.recent_tokens)
        known = layer_needs.measure(model, real_text.compute(model, ids), following, settings)
        texts = [stretch(1 + number, plan.decoded_tokens) for number in range(plan.texts)]
        return partial_loading.measure(model, paths.store(), texts, all_ways, known.needs)


SELECTION_BENCHMARKS = (
    Benchmark(
        "partial_loading",
        "How little of its cold bytes does a token need to read, and what is its answer worth?",
        f"{BYTES_BAR} of the bytes, a mean KL of {MOST_KL:g} at most",
        _partial_loading,
    ),
)
