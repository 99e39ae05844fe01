"""Every layout comes with the way that reads all of it."""

from __future__ import annotations

from workbench.benchmark.selection import ways
from workbench.benchmark.selection.ways import EVERYTHING, RECENT, RULES, Way


def test_everything_comes_first_and_every_rule_at_every_fraction():
    found = ways.ways((0.1, 0.3))
    assert found[0] == Way(EVERYTHING)
    assert [way.name for way in found[1:3]] == ["recent 10%", "recent 30%"]
    assert len(set(found)) == len(found) == 1 + 2 * len(RULES)
    assert Way(RECENT, 0.1, once_per_frame=True).name == "recent 10%, one choice a frame"


def test_layouts_come_with_their_own_whole_read():
    found = ways.layouts(0.3)
    assert len(set(found)) == len(found) == 7
    for way in found:
        assert Way(EVERYTHING, 1.0, way.layout) in found
