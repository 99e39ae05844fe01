"""Ratios, relations and claims: by hand, and against simulated machines whose truth is known."""

import numpy as np
import pytest

from workbench.benchmark.statistics import (
    MIN_ROUNDS,
    Claim,
    Ratio,
    _sign_test_interval,
    bootstrap_ratio,
    relation,
)


def simulate(rng: np.random.Generator, rounds: int, effect: float = 1.0):
    """Rates of two cases on a drifting, noisy machine, run A B B A; ``effect`` speeds up the first.

    The speed walks at random, the noise has heavy tails, and one call in ten is disturbed.
    """
    n_calls = 2 * rounds
    speed = np.exp(np.cumsum(rng.normal(0, 0.02, n_calls)))
    noise = np.exp(0.03 * rng.standard_t(3, n_calls))
    disturbance = np.where(rng.random(n_calls) < 0.1, rng.uniform(1.2, 3, n_calls), 1)
    calls = (speed / noise / disturbance).reshape(rounds, 2)
    calls[1::2] = calls[1::2, ::-1]
    return effect * calls[:, 0], calls[:, 1]


@pytest.mark.parametrize("rounds", [MIN_ROUNDS, 15, 30])
def test_the_same_code_twice_is_hardly_ever_told_apart(rounds):
    rng = np.random.default_rng(rounds)
    verdicts = [relation(bootstrap_ratio(*simulate(rng, rounds))) for _ in range(300)]
    # Once in 25 tries would be 12 of 300.
    assert sum(verdict != "undecided" for verdict in verdicts) <= 5


def test_a_real_tenth_is_found():
    rng = np.random.default_rng(0)
    faster = [relation(bootstrap_ratio(*simulate(rng, 30, effect=1.1))) for _ in range(100)]
    slower = [relation(bootstrap_ratio(*simulate(rng, 30, effect=1 / 1.1))) for _ in range(100)]
    assert faster.count("faster") >= 80
    assert faster.count("slower") == 0
    assert slower.count("slower") >= 80
    assert slower.count("faster") == 0


def test_drift_that_hits_both_alike_cancels():
    speed = np.linspace(1, 10, 12)
    ratio = bootstrap_ratio(2 * speed, speed)
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    assert ratio.n_rounds == 12


def test_ten_rounds_span_all_of_them():
    """With 10 values the inner 8 hold the median in 97.9 % of cases only: too few for 99 %."""
    rates = np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 9.0])
    ratio = bootstrap_ratio(rates, np.ones(10))
    assert (ratio.low, ratio.high) == pytest.approx((1.0, 9.0))
    assert ratio.median == pytest.approx(np.sqrt(1.4 * 1.5))


@pytest.mark.parametrize(("n", "rank"), [(10, 1), (11, 1), (12, 2), (20, 4), (30, 8)])
def test_sign_test_ranks_by_the_book(n, rank):
    low, high = _sign_test_interval(np.arange(1.0, n + 1))
    assert (low, high) == (rank, n + 1 - rank)


def test_one_disturbed_round_of_thirty_is_forgiven():
    contender = np.full(30, 3.0)
    contender[4] = 0.01
    assert relation(bootstrap_ratio(contender, np.ones(30))) == "faster"


def test_the_interval_is_reproducible_and_holds_the_median():
    rates = simulate(np.random.default_rng(3), 20)
    ratio = bootstrap_ratio(*rates, seed=5)
    assert ratio == bootstrap_ratio(*rates, seed=5)
    assert ratio.low <= ratio.median <= ratio.high


@pytest.mark.parametrize(
    ("contender", "baseline", "message"),
    [
        (np.ones(9), np.ones(9), "9 rounds are too few"),
        (np.ones(10), np.ones(11), "rounds must pair up"),
        (np.ones((10, 1)), np.ones((10, 1)), "rounds must pair up"),
        (np.zeros(10), np.ones(10), "positive and finite"),
        (np.full(10, np.nan), np.ones(10), "positive and finite"),
        (np.full(10, np.inf), np.ones(10), "positive and finite"),
    ],
)
def test_refusals(contender, baseline, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_ratio(contender, baseline)


@pytest.mark.parametrize(
    ("median", "low", "high", "expected"),
    [
        (1.5, 1.2, 1.8, "faster"),
        (0.5, 0.4, 0.6, "slower"),
        (1.5, 0.9, 1.8, "undecided"),  # clear effect, interval holds 1
        (1.01, 1.005, 1.02, "undecided"),  # clear interval, effect too small
        (0.99, 0.985, 0.995, "undecided"),
        (1.0, 1.0, 1.0, "undecided"),
    ],
)
def test_relation_needs_both_keys(median, low, high, expected):
    assert relation(Ratio(median, low, high, 10)) == expected


@pytest.mark.parametrize(
    ("text", "claim", "shown"),
    [
        (">= 1.3x", Claim(True, 1.3), ">= 1.3x"),
        ("<=0.8", Claim(False, 0.8), "<= 0.8x"),
        ("  >= 2 x ", Claim(True, 2.0), ">= 2x"),
    ],
)
def test_claims_read_and_shown(text, claim, shown):
    assert Claim.parse(text) == claim
    assert str(claim) == shown
    assert Claim.parse(str(claim)) == claim


@pytest.mark.parametrize(
    "text", ["", "1.3x", "> 1.3x", ">= x", ">= -1x", ">= 0x", ">= 1.3y", "faster"]
)
def test_claims_refused(text):
    with pytest.raises(ValueError, match="is not of the form"):
        Claim.parse(text)


@pytest.mark.parametrize(
    ("claim", "low", "high", "verdict"),
    [
        (">= 1.3x", 1.3, 1.6, "holds"),
        (">= 1.3x", 1.2, 1.6, "undecided"),
        (">= 1.3x", 1.0, 1.29, "refuted"),
        ("<= 0.8x", 0.5, 0.8, "holds"),
        ("<= 0.8x", 0.7, 0.9, "undecided"),
        ("<= 0.8x", 0.81, 0.9, "refuted"),
        (">= 1x", 1.0, 1.1, "undecided"),  # an improvement must exclude 1
        (">= 1x", 1.01, 1.1, "holds"),
        ("<= 1x", 0.9, 1.0, "undecided"),
        (">= 0.95x", 0.96, 1.02, "holds"),  # staying near a ceiling may include 1
        ("<= 1.05x", 0.98, 1.04, "holds"),
    ],
)
def test_claims_are_judged_by_the_whole_interval(claim, low, high, verdict):
    assert Claim.parse(claim).judge(Ratio((low + high) / 2, low, high, 10)) == verdict


def test_a_ratio_prints_its_interval():
    assert str(Ratio(1.234, 1.1, 1.5, 10)) == "1.23x [1.10, 1.50]"
