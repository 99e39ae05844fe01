"""Day 24: blocks on a server that machines share: what a hit is worth, what a dead one costs.

Follows: a real server on loopback, the real model, real processes and faults, a real trace.
Leaves out: how things are measured (workbench/benchmark/network).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.runs.days.day import Day
from workbench.runs.params import DayParams, Preset, param

if TYPE_CHECKING:
    from workbench.benchmark.caching.trace import Trace
    from workbench.benchmark.network.fleet_cost import Fleet
    from workbench.benchmark.network.network_hit import HitPlan
    from workbench.benchmark.network.network_outage import OutagePlan
    from workbench.benchmark.network.server_died import DiedPlan
    from workbench.benchmark.network.tier_sweep import TierSweepPlan
    from workbench.benchmark.network.warm_process import ProcessesPlan

# The shortest prefix is the hardest: it spares the least computing for the same round trips.
JUDGED_TOKENS = 64
CODECS = ("none", "int8", "int4-hadamard")


@dataclass(frozen=True, slots=True)
class Day24Plan:
    """What one preset measures, and how often.

    Attributes
    ----------
    block_kib : tuple        sizes of blocks on every tier, ascending
    round_mib, sweep_rounds, fio_ms : int    how much each moves, how often, and how long fio runs
    prefixes : tuple         tokens, whole blocks of 64, ascending
    rounds : int             timed rounds of a hit and of computing
    pairs, prompt_chars : int      processes, and how long their texts are
    requests, served_tokens : int  a phase of the outage, and of their prefix
    answer_tokens : int      of every answer that is compared
    outages, later_requests : int  bare blocks: rounds, and requests after the first three
    codec_tokens : int       of real text that codecs make smaller
    trace_requests : int     of the trace
    shared_gib : tuple       memory of the fleet's server, ascending
    """

    block_kib: tuple[int, ...]
    round_mib: int
    sweep_rounds: int
    fio_ms: int
    prefixes: tuple[int, ...]
    rounds: int
    pairs: int
    prompt_chars: int
    requests: int
    served_tokens: int
    answer_tokens: int
    outages: int
    later_requests: int
    codec_tokens: int
    trace_requests: int
    shared_gib: tuple[int, ...]

    @property
    def sweep(self) -> TierSweepPlan:
        """Return what moves on every tier."""
        from workbench.benchmark.network.tier_sweep import TierSweepPlan

        return TierSweepPlan(self.block_kib, self.round_mib, self.sweep_rounds, self.fio_ms)

    @property
    def hits(self) -> HitPlan:
        """Return which prefixes are asked for."""
        from workbench.benchmark.network.network_hit import HitPlan

        return HitPlan(self.prefixes, self.rounds, self.answer_tokens)

    @property
    def processes(self) -> ProcessesPlan:
        """Return which processes are started."""
        from workbench.benchmark.network.warm_process import ProcessesPlan

        return ProcessesPlan(self.pairs, self.prompt_chars, self.answer_tokens)

    @property
    def died(self) -> DiedPlan:
        """Return what is asked while the server dies."""
        from workbench.benchmark.network.server_died import DiedPlan

        return DiedPlan(self.requests, self.served_tokens, self.answer_tokens)

    @property
    def outage(self) -> OutagePlan:
        """Return how often the server of bare blocks is frozen."""
        from workbench.benchmark.network.network_outage import OutagePlan

        return OutagePlan(self.outages, self.later_requests)


_TINY = Day24Plan(
    block_kib=(64, 1024),
    round_mib=8,
    sweep_rounds=1,
    fio_ms=50,
    prefixes=(JUDGED_TOKENS, 128),
    rounds=10,
    pairs=1,
    prompt_chars=1_200,
    requests=4,
    served_tokens=64,
    answer_tokens=2,
    outages=1,
    later_requests=20,
    codec_tokens=64,
    trace_requests=2_000,
    shared_gib=(64, 256),
)
_STANDARD = Day24Plan(
    block_kib=(16, 64, 256, 1024, 4096),
    round_mib=32,
    sweep_rounds=3,
    fio_ms=100,
    prefixes=(JUDGED_TOKENS, 128, 256, 512, 1_024),
    rounds=12,
    pairs=2,
    prompt_chars=3_000,
    requests=8,
    served_tokens=256,
    answer_tokens=4,
    outages=5,
    later_requests=200,
    codec_tokens=256,
    trace_requests=12_031,
    shared_gib=(64, 128, 256, 512, 1_024, 2_048),
)
_PLANS: dict[Preset, Day24Plan] = {
    "tiny": _TINY,
    "standard": _STANDARD,
    "full": replace(
        _STANDARD,
        round_mib=64,
        sweep_rounds=10,
        prefixes=(JUDGED_TOKENS, 128, 256, 512, 1_024, 2_048),
        rounds=30,
        pairs=5,
        requests=20,
        outages=30,
        later_requests=1_000,
        shared_gib=(32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192),
    ),
}


class Day24Params(DayParams):
    """Parameters of Day 24."""

    model: str = param("smollm2-135m", "real model that answers")
    link_mbit_s: int = param(
        1000, "link for which a hit is calculated beside loopback", unit="Mbit/s", ge=1, le=400_000
    )
    fleet_trace: str = param("mooncake-conversation", "trace that the fleet is asked")
    fleet_machines: int = param(8, "machines of the fleet", ge=1, le=1024)
    fleet_local_gib: int = param(64, "for KV on each machine", unit="GiB", ge=1, le=65_536)
    fleet_shared_gib: int = param(512, "memory of the fleet's server", unit="GiB", ge=1, le=65_536)
    fleet_kv_kib: int = param(
        128, "float16 KV of the fleet's model", unit="KiB a token", ge=1, le=4096
    )
    fleet_prefill_tokens_s: int = param(
        8000, "prefill of a machine of the fleet", unit="tokens/s", ge=1, le=10_000_000
    )

    def plan(self) -> Day24Plan:
        """Return what the preset measures."""
        return _PLANS[self.preset]

    def fleet(self) -> Fleet:
        """Return what is assumed of the fleet."""
        from workbench.benchmark.network.fleet_cost import Fleet

        return Fleet(
            self.fleet_machines,
            self.fleet_local_gib,
            self.fleet_shared_gib,
            self.fleet_kv_kib,
            self.fleet_prefill_tokens_s,
        )

    def trace(self) -> Trace:
        """Return as many of the trace's requests as the preset replays."""
        from workbench.benchmark.caching import trace_mooncake

        return trace_mooncake.read(self.fleet_trace).head(self.plan().trace_requests)


DAY24 = Day(
    name="day24",
    title="Day 24: a network tier",
    question="What is a block on a shared server worth, and what does a dead server cost?",
    claim="From one block on a hit from the network answers at least 2x sooner than computing.",
    notebook="day24_network_tier.ipynb",
    params=Day24Params,
    cell_timeout_s=1800,
)
