"""Day 22: what codecs make of a KV cache: bytes, speed, quality, and what the system gains.

Follows: one grid of codecs; quality on the real model; real traces at fixed budgets.
Leaves out: how things are measured (workbench/benchmark).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.runs.days.day import Day
from workbench.runs.params import DayParams, Preset, param

if TYPE_CHECKING:
    from workbench.benchmark.caching.tier_simulation import Tiers
    from workbench.benchmark.caching.trace_sessions import Sessions
    from workbench.benchmark.codecs.codec_quality import QualityPlan
    from workbench.benchmark.codecs.cold_decode import ColdDecodePlan


@dataclass(frozen=True, slots=True)
class Day22Plan:
    """What one preset measures, and how often.

    Attributes
    ----------
    windows : int            pieces of text that are scored
    prefix_tokens : int      of each, coded; whole blocks of 64
    scored_tokens : int      behind each
    worst_windows : int      of those, every block coded before it is attended
    greedy_tokens : int      continued behind each
    exact : bool             scored in float32 throughout
    scored, timed : tuple    codecs whose quality, and whose speed is measured
    attended : tuple         scored ones whose cold blocks are attended decoded and as stored
    restored_tokens : int    of the prefix that is restored from the SSD
    cold_tokens : int        of the prefix behind which is decoded while it is cold
    cold_staging_mib : int   memory that it is attended through
    frames : int             of the second geometry that are encoded and decoded
    rounds : int             timed rounds of every case, interleaved
    sessions : int           coding sessions side by side
    ram_blocks, ssd_blocks   the budget, in their blocks of 2,048 tokens as float16
    """

    windows: int
    prefix_tokens: int
    scored_tokens: int
    worst_windows: int
    greedy_tokens: int
    exact: bool
    scored: tuple[str, ...]
    timed: tuple[str, ...]
    attended: tuple[str, ...]
    restored_tokens: int
    cold_tokens: int
    cold_staging_mib: int
    frames: int
    rounds: int
    sessions: int
    ram_blocks: int
    ssd_blocks: int

    @property
    def quality(self) -> QualityPlan:
        """Return how much text is scored, and how."""
        from workbench.benchmark.codecs.codec_quality import QualityPlan

        return QualityPlan(
            self.windows,
            self.prefix_tokens,
            self.scored_tokens,
            self.worst_windows,
            self.greedy_tokens,
            self.exact,
        )

    @property
    def cold(self) -> ColdDecodePlan:
        """Return what is decoded behind a cold prefix."""
        from workbench.benchmark.codecs.cold_decode import ColdDecodePlan

        return ColdDecodePlan(self.cold_tokens, self.cold_staging_mib << 20, self.rounds)

    @property
    def tiers(self) -> Tiers:
        """Return the budget."""
        from workbench.benchmark.caching.tier_simulation import Tiers

        return Tiers(self.ram_blocks, self.ssd_blocks)

    @property
    def side_by_side(self) -> Sessions:
        """Return the sessions, starting within an hour."""
        from workbench.benchmark.caching.trace_sessions import Sessions

        return Sessions(self.sessions, within_s=3600.0, merged_blocks=32)


_LOSSY = ("int8", "int8-channel", "int4", "int4-hadamard")
_TIMED = ("none", "lossless", *_LOSSY, "int8+zstd", "int4-hadamard+zstd")
_TINY = Day22Plan(
    windows=1,
    prefix_tokens=64,
    scored_tokens=16,
    worst_windows=0,
    greedy_tokens=4,
    exact=False,
    scored=("none, last bit moved", "int8", "int4-hadamard"),
    timed=("none", "lossless", "int8", "int4-hadamard"),
    attended=("int8",),
    restored_tokens=256,
    cold_tokens=768,
    cold_staging_mib=8,
    frames=2,
    rounds=10,
    sessions=8,
    ram_blocks=24,
    ssd_blocks=64,
)
_STANDARD = Day22Plan(
    windows=2,
    prefix_tokens=256,
    scored_tokens=128,
    worst_windows=1,
    greedy_tokens=32,
    exact=True,
    scored=("none, last bit moved", *_LOSSY),
    timed=_TIMED,
    attended=("int8", "int4", "int4-hadamard"),
    restored_tokens=2_048,
    cold_tokens=2_048,
    cold_staging_mib=32,
    frames=16,
    rounds=12,
    sessions=24,
    ram_blocks=64,
    ssd_blocks=256,
)
_PLANS: dict[Preset, Day22Plan] = {
    "tiny": _TINY,
    "standard": _STANDARD,
    "full": replace(
        _STANDARD,
        windows=16,
        worst_windows=4,
        greedy_tokens=64,
        restored_tokens=4_096,
        cold_tokens=4_096,
        cold_staging_mib=64,
        frames=32,
        rounds=30,
        sessions=80,
    ),
}


class Day22Params(DayParams):
    """Parameters of Day 22."""

    model: str = param("smollm2-135m", "real model whose text is scored")
    kl_at_most: float = param(0.006, "quality floor of the choice", unit="nats", ge=0, le=1)
    rounds: int | None = param(None, "timed rounds; None: the preset's", ge=10, le=200)

    def plan(self) -> Day22Plan:
        """Return what the preset measures, with the rounds that were asked for."""
        plan = _PLANS[self.preset]
        return replace(plan, rounds=self.rounds or plan.rounds)


DAY22 = Day(
    name="day22",
    title="Day 22: KV compression",
    question="What do int8, int4 and lossless codecs make of a KV cache: size, speed, quality?",
    claim="Blocks at least 2x smaller on the SSD at a perplexity change below 0.5 %.",
    notebook="day22_kv_compression.ipynb",
    params=Day22Params,
    cell_timeout_s=1800,
)
