"""Two costs are learnt from their sums, the newest ones, and are never below nothing."""

from __future__ import annotations

import pytest

from workbench.tiering.unified_tier.cost_curve import CostCurve


def test_two_parts_are_told_apart():
    curve = CostCurve()
    for x, y in ((1, 0), (2, 5), (10, 1), (3, 3)):
        curve.observe(x, y, 0.2 * x + 0.05 * y)
    assert curve.seconds(100, 7) == pytest.approx(0.2 * 100 + 0.05 * 7)


def test_one_observation_is_met():
    curve = CostCurve()
    assert not curve.is_known
    curve.observe(4.0, 1.0, 2.0)
    assert curve.is_known
    assert curve.seconds(4.0, 1.0) == pytest.approx(2.0)


def test_no_part_is_below_nothing():
    curve = CostCurve()
    # Alone these would be 1 - y / 2.
    curve.observe(1, 1, 0.5)
    curve.observe(2, 1, 1.5)
    assert curve.seconds(0, 1) >= 0
    assert curve.seconds(1, 0) >= 0
    assert curve.seconds(1.5, 1) == pytest.approx(1.0, rel=0.5)


def test_only_what_was_seen_lately_counts():
    curve = CostCurve(remembered=3)
    for _ in range(5):
        curve.observe(1, 0, 10.0)
    for x in (1, 2, 3):
        curve.observe(x, 0, 0.1 * x)
    assert curve.seconds(10, 0) == pytest.approx(1.0)


def test_nothing_teaches_nothing():
    curve = CostCurve()
    curve.observe(0, 1, 1.0)
    curve.observe(1, 1, 0.0)
    with pytest.raises(ValueError, match="nothing was observed"):
        curve.seconds(1, 1)
