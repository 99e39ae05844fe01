"""Day 5: Week 1 on one page, with a real model: targets, resume from the SSD, the 70B projection.

Follows: the first report's targets (section 5); every "now" is measured in this run.
Leaves out: how things are measured (workbench/benchmark).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.runs.days.day import Day
from workbench.runs.params import DayParams, Preset, param

if TYPE_CHECKING:
    import polars as pl

    from workbench.benchmark.inference.large_model import LargePlan
    from workbench.benchmark.inference.resume import ResumePlan
    from workbench.benchmark.week.week_measurements import WeekPlan


@dataclass(frozen=True, slots=True)
class Day05Plan:
    """What one preset measures: for the targets, the resume, the 70B layers, and small budgets."""

    week: WeekPlan
    resume: ResumePlan
    large: LargePlan
    budget_fracs: tuple[float, ...]
    budget_tokens: int
    with_peer: bool


@dataclass(frozen=True, slots=True)
class _Size:
    """What a preset amounts to, in the order of the plans' own fields."""

    restore: tuple[int, int]
    rounds: int
    store: tuple[int, int]
    memory_mib: int
    traces: tuple[int, int]
    decoded_tokens: int
    exact_tokens: int
    lengths: tuple[int, ...]
    resumes: int
    large: tuple[int, int, int]
    budget_tokens: int
    with_peer: bool


_SIZES: dict[Preset, _Size] = {
    "tiny": _Size(
        (256, 50), 10, (4, 1), 32, (2, 300), 30, 2, (64, 128), 2, (8, 10, 2), 4, with_peer=False
    ),
    "standard": _Size(
        (1024, 200),
        12,
        (16, 8),
        64,
        (12, 3000),
        200,
        16,
        (512, 1024, 2048, 4096),
        5,
        (1, 10, 3),
        16,
        with_peer=True,
    ),
    "full": _Size(
        (4096, 1000),
        40,
        (32, 16),
        256,
        (40, 12_031),
        1000,
        64,
        (512, 1024, 2048, 4096),
        20,
        (1, 30, 10),
        64,
        with_peer=True,
    ),
}
# Of the real model's weights; the least leaves the output matrix and a few layers.
_BUDGETS = (1.0, 0.8, 0.65, 0.5)
_LARGE_LAYERS = 3  # two places to stream through, and one layer more


class Day05Params(DayParams):
    """Parameters of Day 5."""

    model: str = param("smollm2-135m", "real model that the week is judged on")
    context_tokens: int = param(128, "text before the timed tokens", unit="tokens", ge=16, le=4096)
    dtype: Literal["float16", "int8"] = param("float16", "how keys and values are kept")
    peers: bool = param(True, "let llama.cpp do the same where it is installed; never with tiny")

    def plan(self) -> Day05Plan:
        """Return what the preset measures, with what was asked for in its place."""
        # Imported here: Numba costs seconds that `workbench params` must not.
        from workbench.benchmark.inference.decode_latency import LatencyPlan
        from workbench.benchmark.inference.large_model import LargePlan
        from workbench.benchmark.inference.resume import ResumePlan
        from workbench.benchmark.week.week_measurements import WeekPlan

        size = _SIZES[self.preset]
        share, rounds, passes = size.large
        return Day05Plan(
            week=WeekPlan(
                *size.restore,
                size.rounds,
                *size.store,
                size.memory_mib,
                *size.traces,
                latency=LatencyPlan(self.context_tokens, size.decoded_tokens),
                baseline_tokens=size.exact_tokens,
            ),
            resume=ResumePlan(size.lengths, size.resumes, self.dtype),
            large=LargePlan(share, _LARGE_LAYERS, self.context_tokens, rounds, passes),
            budget_fracs=_BUDGETS,
            budget_tokens=size.budget_tokens,
            with_peer=size.with_peer and self.peers,
        )


DAY05 = Day(
    name="day05",
    title="Day 5: Week 1 on one page",
    question="Where does Week 1 stand, with a real model: every target, resume, and a 70B model?",
    claim="Decoding the real model here takes less than 50 ms (p50) and 100 ms (p99) a token.",
    notebook="day05_week1_review.ipynb",
    params=Day05Params,
    cell_timeout_s=1200,
)


def measure_latency(params: Day05Params) -> pl.DataFrame:
    """Measure the latency per token behind one length of context: a row.

    Cost    about 2 s with preset tiny, 5 s with standard.
    """
    from workbench.benchmark.inference import decode_latency
    from workbench.inference.model_file import model_file

    return decode_latency.measure(
        model_file(params.model), params.plan().week.latency, seed=params.seed
    ).table
