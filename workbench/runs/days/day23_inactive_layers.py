"""Day 23: which layers and blocks matter to a query, and what reading only these costs and saves.

Follows: real text, the real model, cold keys and values on the real disk.
Leaves out: how things are measured (workbench/benchmark).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.runs.days.day import Day
from workbench.runs.params import DayParams, Preset, param

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.benchmark.selection.coarse_layers import CoarsePlan
    from workbench.benchmark.selection.layer_needs import NeedsPlan
    from workbench.benchmark.selection.ways import Way

# The stretch of the text that budgets are measured on; others are decoded.
CALIBRATION = 0
JUDGED_FRAC = 0.3


@dataclass(frozen=True, slots=True)
class Day23Plan:
    """What one preset measures, and how often.

    Attributes
    ----------
    context_tokens : int       before the decoded ones, a multiple of 64
    calibration_tokens : int   decoded to measure attention and layers' needs
    decoded_tokens : int       of each text, with teacher forcing
    texts : int                stretches of real text that are decoded
    fracs : tuple              of the cold blocks that may be read, ascending
    rules : tuple              that choose them
    recent_tokens : int        that stay in memory
    with_layouts : bool        whether other layouts on the disk are measured, too
    coarse_groups : tuple      groups of three layers that get the coarser codec, ascending
    scored_windows : int       pieces of text that are scored behind a prefix that was coded
    scored_tokens : int        of each
    scored_prefix : int        tokens of each prefix, whole blocks of 64
    exact : bool               scored in float32 throughout
    restored_tokens : int      of the context that is restored through each codec
    """

    context_tokens: int
    calibration_tokens: int
    decoded_tokens: int
    texts: int
    fracs: tuple[float, ...]
    rules: tuple[str, ...]
    recent_tokens: int
    with_layouts: bool
    coarse_groups: tuple[int, ...]
    scored_windows: int
    scored_tokens: int
    scored_prefix: int
    exact: bool
    restored_tokens: int

    @property
    def needs(self) -> NeedsPlan:
        """Return how layers' needs are measured."""
        from workbench.benchmark.selection.layer_needs import NeedsPlan

        return NeedsPlan(recent_tokens=self.recent_tokens)

    @property
    def coarse(self) -> CoarsePlan:
        """Return how coarser codecs of some layers are measured."""
        from workbench.benchmark.codecs.codec_quality import QualityPlan
        from workbench.benchmark.selection.coarse_layers import CoarsePlan

        quality = QualityPlan(
            self.scored_windows,
            self.scored_prefix,
            self.scored_tokens,
            worst_windows=0,
            greedy_tokens=0,
            exact=self.exact,
            fast_prefix=True,
        )
        return CoarsePlan(self.coarse_groups, quality, self.restored_tokens)

    @property
    def scored_text(self) -> str:
        """Return what is scored behind coded prefixes; no choice goes by it."""
        from workbench.benchmark.selection import real_text

        return real_text.stretch_text(CALIBRATION + 1)

    @property
    def calibration_text(self) -> str:
        """Return what layers' losses are measured on."""
        from workbench.benchmark.selection import real_text

        return real_text.stretch_text(CALIBRATION)

    @property
    def ways(self) -> list[Way]:
        """Return the ways to decode; the first reads everything."""
        from workbench.benchmark.selection import ways
        from workbench.benchmark.selection.cold_text import ColdLayout

        layout = ColdLayout(recent_tokens=self.recent_tokens)
        found = ways.ways(self.fracs, self.rules, layout)
        return [*found, *ways.layouts(JUDGED_FRAC)] if self.with_layouts else found

    def tokens(self, model: Path, stretch: int, decoded: int) -> tuple[list[int], list[int]]:
        """Return a stretch of real text: the context, and so many tokens that follow."""
        from workbench.benchmark.selection import real_text

        ids = real_text.token_ids(model, self.context_tokens + decoded, stretch)
        return ids[: self.context_tokens], ids[self.context_tokens :]

    def to_decode(self, model: Path) -> list[tuple[list[int], list[int]]]:
        """Return the texts that are decoded; none is the one that budgets come from."""
        stretches = range(CALIBRATION + 1, CALIBRATION + 1 + self.texts)
        return [self.tokens(model, stretch, self.decoded_tokens) for stretch in stretches]


_RULES = ("recent", "quest_bound", "sketch", "sketch_by_need", "true_attention")
_TINY = Day23Plan(
    context_tokens=256,
    calibration_tokens=2,
    decoded_tokens=4,
    texts=1,
    fracs=(JUDGED_FRAC,),
    rules=("recent", "sketch_by_need"),
    recent_tokens=32,
    with_layouts=False,
    coarse_groups=(5,),
    scored_windows=1,
    scored_tokens=4,
    scored_prefix=64,
    exact=False,
    restored_tokens=64,
)
_STANDARD = Day23Plan(
    context_tokens=4096,
    calibration_tokens=16,
    decoded_tokens=24,
    texts=1,
    fracs=(0.03, 0.1, JUDGED_FRAC),
    rules=_RULES,
    recent_tokens=256,
    with_layouts=True,
    coarse_groups=(5,),
    scored_windows=1,
    scored_tokens=24,
    scored_prefix=256,
    exact=True,
    restored_tokens=512,
)
_PLANS: dict[Preset, Day23Plan] = {
    "tiny": _TINY,
    "standard": _STANDARD,
    "full": replace(
        _STANDARD,
        calibration_tokens=48,
        decoded_tokens=128,
        texts=4,
        fracs=(0.02, 0.05, 0.1, 0.2, JUDGED_FRAC, 0.5),
        coarse_groups=(2, 4, 6, 8),
        scored_windows=4,
        scored_tokens=96,
        restored_tokens=2048,
    ),
}


class Day23Params(DayParams):
    """Parameters of Day 23."""

    model: str = param("smollm2-135m", "model of the data manifest, or a path that ends in .gguf")
    decoded_tokens: int | None = param(
        None, "tokens decoded behind each context; None: the preset's", ge=2, le=1024
    )

    def plan(self) -> Day23Plan:
        """Return what the preset measures, with the tokens that were asked for."""
        plan = _PLANS[self.preset]
        return replace(plan, decoded_tokens=self.decoded_tokens or plan.decoded_tokens)


DAY23 = Day(
    name="day23",
    title="Day 23: inactive layers, and cold blocks that are not read",
    question="Which layers and blocks carry little, and what does a token need to read of the SSD?",
    claim="Reading at most 30 % of the cold bytes keeps the KL from the full read at 0.01 or less.",
    notebook="day23_inactive_layers.ipynb",
    params=Day23Params,
    cell_timeout_s=1800,
)
