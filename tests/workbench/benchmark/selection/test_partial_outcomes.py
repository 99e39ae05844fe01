"""The best way is told from the others, and the point where answers break."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.selection.answers import Distance
from workbench.benchmark.selection.partial_outcomes import Outcome, PartialLoading
from workbench.benchmark.selection.ways import BY_NEED, EVERYTHING, RECENT, TRUE_MASS, Way


def outcome(kl, top1=1.0, read=30.0):
    n = 100
    same = np.arange(n) < top1 * n
    far = Distance(np.full(n, kl), same, np.zeros(n))
    return Outcome(far, read, 100.0, 100.0, np.full(n, 0.1), 5, 5)


def test_the_best_reads_least_at_a_good_answer_and_breaking_is_told():
    loading = PartialLoading(
        {
            Way(EVERYTHING): outcome(0.0, 1.0, 100.0),
            Way(RECENT, 0.1): outcome(0.2, 0.5, 10.0),
            Way(RECENT, 0.3): outcome(0.05, 0.89),
            Way(TRUE_MASS, 0.2): outcome(0.001, 1.0, 20.0),
            Way(BY_NEED, 0.3): outcome(0.009),
            Way(BY_NEED, 0.5): outcome(0.002, 1.0, 50.0),
        },
        100,
        4096,
    )
    assert loading.best() == Way(BY_NEED, 0.3)
    assert loading.best(0.005) == Way(BY_NEED, 0.5)
    assert loading.best(0.0001) is None
    assert (loading.breaks(RECENT), loading.breaks(BY_NEED)) == (0.3, None)
    assert loading.judged[1].kl_over(0.01).median == pytest.approx(0.9)
    assert "recent at 30%" in loading.notes[-1]
