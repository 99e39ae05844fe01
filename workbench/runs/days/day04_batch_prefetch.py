"""Day 4: what batches, eviction policies, the SSD and prefetch are worth to a KV cache.

Follows: real traces through the cache's own bookkeeping, real bytes where time is measured.
Leaves out: how things are measured (workbench/benchmark).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from workbench.runs.days.day import Day
from workbench.runs.params import DayParams, Preset, param

if TYPE_CHECKING:
    from workbench.benchmark.caching.prefetch_serving import ServingPlan
    from workbench.benchmark.caching.trace import Trace
    from workbench.benchmark.caching.trace_sessions import Sessions

PolicyName = Literal["fifo", "lru", "lfu", "recency_frequency", "arc", "s3_fifo", "w_tinylfu"]


@dataclass(frozen=True, slots=True)
class Day04Plan:
    """What one preset measures, and how often.

    Attributes
    ----------
    batch_blocks : int          blocks of 64 tokens stored in one timed round of a batch size
    mooncake_requests : int     of each Mooncake trace, from its start
    mooncake_sizes : tuple      cache sizes in Mooncake's blocks of 512 tokens, ascending
    sessions : int              coding sessions side by side, their blocks merged to 2,048 tokens
    session_sizes : tuple       cache sizes in these blocks, ascending
    ram_blocks, ssd_blocks      the two tiers, in these blocks
    replayed_requests : int     requests that also go through the real cache
    served_requests : int       requests a timed round of prefetch
    served_tokens : int         tokens of each one's prefix
    rounds : int                timed rounds of every case, interleaved
    """

    batch_blocks: int
    mooncake_requests: int
    mooncake_sizes: tuple[int, ...]
    sessions: int
    session_sizes: tuple[int, ...]
    ram_blocks: int
    ssd_blocks: int
    replayed_requests: int
    served_requests: int
    served_tokens: int
    rounds: int

    @property
    def traces(self) -> list[Trace]:
        """Return the Mooncake traces, fetched if they are not there."""
        from workbench.benchmark.caching import trace_mooncake

        names = ("mooncake-conversation", "mooncake-synthetic")
        return [trace_mooncake.read(name).head(self.mooncake_requests) for name in names]

    @property
    def side_by_side(self) -> Sessions:
        """Return the sessions of the multi-turn workload, starting within an hour."""
        from workbench.benchmark.caching.trace_sessions import Sessions

        return Sessions(self.sessions, within_s=3600.0, merged_blocks=32)

    @property
    def replayed(self) -> Sessions:
        """Return sessions of so few blocks that a real cache goes through them in a second."""
        from workbench.benchmark.caching.trace_sessions import Sessions

        return Sessions(5, within_s=600.0, merged_blocks=64)

    @property
    def serving(self) -> ServingPlan:
        """Return what prefetch is measured on."""
        from workbench.benchmark.caching.prefetch_serving import ServingPlan

        return ServingPlan(self.served_requests, self.served_tokens, self.rounds)


_PLANS: dict[Preset, Day04Plan] = {
    "tiny": Day04Plan(
        batch_blocks=1,
        mooncake_requests=500,
        mooncake_sizes=(500, 2_000),
        sessions=8,
        session_sizes=(64, 256),
        ram_blocks=24,
        ssd_blocks=512,
        replayed_requests=60,
        served_requests=6,
        served_tokens=512,
        rounds=10,
    ),
    "standard": Day04Plan(
        batch_blocks=4,
        mooncake_requests=6_000,
        mooncake_sizes=(1_000, 5_000, 10_000),
        sessions=24,
        session_sizes=(64, 256, 1_024),
        ram_blocks=64,
        ssd_blocks=1_024,
        replayed_requests=200,
        served_requests=12,
        served_tokens=1_024,
        rounds=15,
    ),
    "full": Day04Plan(
        batch_blocks=16,
        mooncake_requests=20_000,
        mooncake_sizes=(500, 1_000, 2_000, 5_000, 10_000, 30_000),
        sessions=80,
        session_sizes=(64, 256, 1_024, 4_096),
        ram_blocks=64,
        ssd_blocks=4_096,
        replayed_requests=400,
        served_requests=12,
        served_tokens=4_096,
        rounds=40,
    ),
}


class Day04Params(DayParams):
    """Parameters of Day 4."""

    policy: PolicyName = param("lru", "policy shown in detail, and run by both tiers' simulation")
    eviction: int = param(22, "eviction that is shown", ge=1, le=60)
    rounds: int | None = param(None, "timed rounds; None: the preset's", ge=10, le=200)

    def plan(self) -> Day04Plan:
        """Return what the preset measures, with the rounds that were asked for."""
        plan = _PLANS[self.preset]
        return replace(plan, rounds=self.rounds or plan.rounds)


DAY04 = Day(
    name="day04",
    title="Day 4: batching, eviction, prefetch",
    question="What are batches, eviction policies, an SSD and prefetch worth to a KV cache?",
    claim="With an SSD at least 60 % of a multi-turn workload's blocks hit, against 40 % without; "
    "prefetch serves at least 1.3x.",
    notebook="day04_batch_prefetch.ipynb",
    params=Day04Params,
    cell_timeout_s=1200,
)
