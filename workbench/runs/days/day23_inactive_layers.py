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
    """

    context_tokens: int
    calibration_tokens: int
    decoded_tokens: int
    texts: int
    fracs: tuple[float, ...]
    rules: tuple[str, ...]
    recent_tokens: int
    with_layouts: bool

    @property
    def needs(self) -> NeedsPlan:
        """Return how layers' needs are measured."""
        from workbench.benchmark.selection.layer_needs import NeedsPlan

        return NeedsPlan(recent_tokens=self.recent_tokens)

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
_PLANS: dict[Preset, Day23Plan] = {
    "tiny": Day23Plan(256, 2, 4, 1, (JUDGED_FRAC,), ("recent", "sketch_by_need"), 32, False),
    "standard": Day23Plan(4096, 16, 24, 1, (0.03, 0.1, JUDGED_FRAC), _RULES, 256, True),
    "full": Day23Plan(
        4096, 48, 128, 4, (0.02, 0.05, 0.1, 0.2, JUDGED_FRAC, 0.5), _RULES, 256, True
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
