"""Findings are judged by their interval, or by their median where the bar says so."""

import pytest

from workbench.benchmark.findings import SECONDS, Benchmark, Finding, Row
from workbench.benchmark.machine import identify
from workbench.benchmark.statistics import Claim, Ratio


def judged(ratio: Ratio, claim: str | None, **how: object) -> Row:
    finding = Finding("a", ratio, 12.345678, "GB/s", claim and Claim.parse(claim), **how)
    return Benchmark("toy", "?", "none", lambda preset: [finding]).run("tiny")[0]


@pytest.mark.parametrize(
    ("claim", "met"), [(">= 0.9x", True), (">= 1.2x", False), (">= 1x", False), (None, None)]
)
def test_a_bar_is_met_only_when_it_surely_holds(claim, met):
    found = judged(Ratio(1.05, 0.95, 1.15, 10), claim)
    assert found == Row("toy", "a", 1.05, 0.95, 1.15, claim, met, 12.3457, "GB/s", identify().id)


@pytest.mark.parametrize(
    ("claim", "met"),
    [(">= 1.05x", True), (">= 1.06x", False), ("<= 1.05x", True), ("<= 1x", False)],
)
def test_a_bar_on_the_median_says_so_and_asks_nothing_of_the_interval(claim, met):
    found = judged(Ratio(1.05, 0.5, 2.0, 10), claim, by_median=True)
    assert (found.bar, found.met) == (f"median {claim}", met)


def test_without_a_claim_the_median_is_not_judged():
    found = judged(Ratio(1.05, 0.5, 2.0, 10), None, by_median=True)
    assert (found.bar, found.met) == (None, None)


def test_a_rate_is_the_ratio_of_its_ceiling_and_a_time_the_inverse():
    ratio = Ratio(4.0, 3.0, 5.0, 10)
    times, rates = (
        Benchmark("toy", "?", "none", lambda preset, unit=unit: [Finding("a", ratio, 0.1, unit)])
        for unit in (SECONDS, "GB/s")
    )
    assert times.run("tiny")[0].value == pytest.approx(0.025)
    assert rates.run("tiny")[0].value == pytest.approx(0.4)
