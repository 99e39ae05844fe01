"""Name the ways to decode a cold text: a rule, how much it may read, how its blocks lie.

Follows: rules from the one that knows nothing to the one that reads all keys to know.
Leaves out: carrying them out (text_decoder.py), what came of them (partial_outcomes.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.benchmark.selection.cold_text import ColdLayout
from workbench.tiering.memory import MIB

EVERYTHING = "everything"
RECENT, QUEST, SKETCH, BY_NEED = "recent", "quest_bound", "sketch", "sketch_by_need"
TRUE_MASS = "true_attention"
RULES = (RECENT, QUEST, SKETCH, BY_NEED, TRUE_MASS)
DEFAULT = ColdLayout()


@dataclass(frozen=True, slots=True)
class Way:
    """One way to decode: a rule, the fraction of the cold blocks it may read, how they lie."""

    rule: str
    frac: float = 1.0
    layout: ColdLayout = DEFAULT
    once_per_frame: bool = False

    @property
    def name(self) -> str:
        """Return rule and fraction."""
        shared = ", one choice a frame" if self.once_per_frame else ""
        return f"{self.rule}{shared}" if self.frac == 1 else f"{self.rule} {self.frac:.0%}{shared}"


def ways(
    fracs: Sequence[float], rules: Sequence[str] = RULES, layout: ColdLayout = DEFAULT
) -> list[Way]:
    """Return everything, and each rule at each fraction."""
    chosen = [Way(rule, frac, layout) for rule in rules for frac in fracs]
    return [Way(EVERYTHING, 1.0, layout), *chosen]


def layouts(frac: float) -> list[Way]:
    """Return what else can be read at once: larger blocks, frames of several layers, int8."""
    # Frames of six layers need memory in which the chosen ones wait for their other layers.
    wide = ColdLayout(64, 6, staging_bytes=24 * MIB)
    found = []
    for layout in (ColdLayout(64, 1), wide, ColdLayout(16, 1, "int8")):
        found += [Way(EVERYTHING, 1.0, layout), Way(BY_NEED, frac, layout)]
    return [*found, Way(BY_NEED, frac, wide, True)]
