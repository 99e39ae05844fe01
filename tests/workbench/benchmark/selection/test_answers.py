"""Answers: KL, agreement and surprise by hand, and an interval that knows its neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.selection.answers import Answers, Distance, distance, joined


def of(*odds, expected=(0, 1)):
    return Answers.of([np.log(np.array(row, np.float32)) + 7 for row in odds], expected)


def test_distances_by_hand():
    exact, other = of([3, 1], [1, 1]), of([1, 1], [1, 3])
    found = distance(exact, other)
    first = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    second = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    np.testing.assert_allclose(found.kl, [first, second], rtol=1e-5)
    assert found.same_top.tolist() == [True, False]
    np.testing.assert_allclose(np.exp(found.surprise), [0.75 / 0.5, 0.5 / 0.75], rtol=1e-5)
    assert found.perplexity_change == pytest.approx(0, abs=1e-6)


def test_the_same_answers_have_no_distance():
    found = distance(of([3, 1], [1, 1]), of([3, 1], [1, 1]))
    assert (found.kl == 0).all()
    assert found.same_top.all()
    assert found.perplexity_change == 0


def test_the_mean_has_an_interval_and_few_tokens_a_wide_one():
    kl = np.random.default_rng(1).exponential(0.01, 200)
    many = Distance(kl, kl < 1, kl).mean_kl()
    few = Distance(kl[:8], kl[:8] < 1, kl[:8]).mean_kl()
    assert many.median == pytest.approx(kl.mean())
    assert many.low < many.median < many.high
    assert few.high - few.low > 2 * (many.high - many.low)
    one = Distance(kl[:1], kl[:1] < 1, kl[:1]).mean_kl()
    assert one.low == one.median == one.high


def test_two_means_are_compared_on_the_same_tokens():
    kl = np.random.default_rng(1).exponential(0.01, 200)
    one, double = (Distance(values, kl < 1, kl) for values in (kl, 2 * kl))
    found = double.kl_over(one)
    assert found.low == pytest.approx(2)
    assert found.high == pytest.approx(2)
    noise = Distance(kl[::-1], kl < 1, kl).kl_over(one)
    assert noise.median == pytest.approx(1)
    assert noise.low < 0.95
    assert noise.high > 1.05


def test_texts_are_joined_token_by_token():
    part = distance(of([3, 1], [1, 1]), of([1, 1], [1, 3]))
    whole = joined([part, part])
    assert whole.kl.tolist() == [*part.kl, *part.kl]
    assert whole.same_top.tolist() == [True, False, True, False]
