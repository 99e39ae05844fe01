"""Trace replay: one point of policy x size x codec x trace, made to be swept.

Follows: real traces through the cache's own bookkeeping; what a codec makes of a block is measured.
Leaves out: how it is replayed (workbench/benchmark/codecs/trace_replay.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workbench.runs.days.day import Day
from workbench.runs.params import DayParams, Preset, param

if TYPE_CHECKING:
    from workbench.benchmark.caching.trace import Trace
    from workbench.benchmark.codecs.codec_tiers import System
    from workbench.benchmark.codecs.trace_replay import Budget
    from workbench.tiering.compression.choice import CodecRates

SESSIONS = "kv-cache-tester"
# How many of a trace a preset replays: sessions side by side, or requests of the other traces.
_SESSIONS: dict[Preset, int] = {"tiny": 8, "standard": 24, "full": 80}
_REQUESTS: dict[Preset, int] = {"tiny": 1_000, "standard": 4_000, "full": 12_031}


class TraceReplayParams(DayParams):
    """Parameters of the trace replay."""

    trace: Literal["kv-cache-tester", "mooncake-conversation", "mooncake-synthetic"] = param(
        "kv-cache-tester", "data set to replay; coding sessions, or requests"
    )
    policy: Literal["fifo", "lru", "lfu", "recency_frequency", "arc", "s3_fifo", "w_tinylfu"] = (
        param("lru", "what evicts from memory")
    )
    ram_gib: int = param(16, "memory for blocks", unit="GiB", ge=1, le=65_536)
    ssd_gib: int = param(128, "SSD for blocks; 0: none", unit="GiB", ge=0, le=1_048_576)
    codec: Literal["none", "int8", "int8-channel", "int4", "int4-hadamard"] = param(
        "none", "what blocks on the SSD are made smaller by"
    )
    write: Literal["write_through", "write_back", "selective"] = param(
        "write_through", "what goes to the SSD"
    )
    read_gb_s: float = param(3.0, "assumed of the SSD", unit="GB/s", ge=0.01, le=1000)
    prefill_tokens_s: int = param(
        8000, "assumed of the model", unit="tokens/s", ge=1, le=10_000_000
    )

    def read_trace(self) -> Trace:
        """Return as much of the trace as the preset replays.

        Raises
        ------
        DataError   if the data set cannot be had
        """
        from workbench.benchmark.caching import trace_mooncake, trace_sessions

        if self.trace == SESSIONS:
            return trace_sessions.read(trace_sessions.Sessions(_SESSIONS[self.preset]), self.seed)
        return trace_mooncake.read(self.trace).head(_REQUESTS[self.preset])

    def budget(self) -> Budget:
        """Return the tiers' sizes and how they are run."""
        from workbench.benchmark.codecs.trace_replay import Budget

        return Budget(self.ram_gib, self.ssd_gib, self.policy, self.write)

    def coding(self) -> CodecRates:
        """Return what the codec makes of a block, measured here."""
        from workbench.benchmark.codecs import trace_replay

        return trace_replay.rates(self.codec, self.seed)

    def system(self) -> System:
        """Return what is assumed of the machine."""
        from workbench.benchmark.caching.tier_hits import KV_BYTES_PER_TOKEN
        from workbench.benchmark.codecs.codec_tiers import System

        return System(KV_BYTES_PER_TOKEN, self.read_gb_s, float(self.prefill_tokens_s))


TRACE_REPLAY = Day(
    name="trace_replay",
    title="Trace replay: policy, size, codec, trace",
    question="What does an SSD of this size, policy and codec make of a real trace?",
    claim="With the SSD the first token is there at least 1.2x sooner than with memory alone.",
    notebook="trace_replay.ipynb",
    params=TraceReplayParams,
    cell_timeout_s=900,
    figures=("hit_rate", "ssd_written", "ttft_mean"),
)
