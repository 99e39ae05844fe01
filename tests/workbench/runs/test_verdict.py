"""Verdicts become statuses; contended runs prove nothing."""

from __future__ import annotations

import pytest

from workbench.benchmark.statistics import Ratio
from workbench.runs.verdict import CONTENDED, Comparison, judge, status_of

COMPARED = Comparison("kv_store", "njit", "numpy")


@pytest.mark.parametrize(
    ("low", "high", "verdict", "status"),
    [
        (2.1, 2.5, "holds", "ok"),
        (1.0, 1.4, "refuted", "refuted"),
        (1.8, 2.4, "undecided", "undecided"),
    ],
)
def test_the_interval_decides(low, high, verdict, status):
    ratio = Ratio((low + high) / 2, low, high, 12)
    judged = judge(COMPARED, ratio, ">= 2", sentence="So it is.")
    assert (judged.verdict, judged.claim) == (verdict, ">= 2x")
    assert (judged.metric, judged.contender, judged.baseline) == ("kv_store", "njit", "numpy")
    assert (judged.ratio.low, judged.ratio.n_rounds) == (low, 12)
    reason = "" if status == "ok" else "So it is."
    assert status_of(judged, contended=False) == (status, reason)


def test_a_contended_run_is_undecided_whatever_it_measured():
    judged = judge(COMPARED, Ratio(9, 8, 10, 12), ">= 2x", contended=True)
    assert judged.verdict == "undecided"
    assert status_of(judged, contended=True) == ("undecided", CONTENDED)


def test_contention_found_later_overrules_the_verdict():
    judged = judge(COMPARED, Ratio(9, 8, 10, 12), ">= 2x")
    assert judged.verdict == "holds"
    assert status_of(judged, contended=True) == ("undecided", CONTENDED)


def test_a_run_without_a_verdict_is_ok_even_contended():
    assert status_of(None, contended=True) == ("ok", "")


def test_a_claim_of_another_form_is_refused():
    with pytest.raises(ValueError, match="twice as fast"):
        judge(COMPARED, Ratio(9, 8, 10, 12), "twice as fast")
