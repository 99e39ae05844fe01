"""Damage is told in numbers that follow from the scores, and windows of a codec are one."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.benchmark.codecs.codec_damage import Damage, joined, log_softmax


def damage(log_ratio, rate):
    n = len(log_ratio)
    same = np.ones(n, bool)
    return Damage("int8", "how", np.array(log_ratio), np.zeros(n), same, np.array([3]), rate)


def test_perplexity_changes_by_the_mean_ratio_with_an_interval_around_it():
    one = damage([0.0, 0.2] * 50, 1.0)
    assert one.perplexity_change == pytest.approx(np.expm1(0.1))
    low, high = one.interval()
    assert low < one.perplexity_change < high


def test_windows_are_put_behind_one_another():
    both = joined([damage([0.1], 2.0), damage([0.2, 0.3], 4.0)])
    np.testing.assert_array_equal(both.log_ratio, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(both.greedy_same, [3, 3])
    assert both.decode_tokens_s == 3.0


def test_logits_become_log_probabilities_however_large():
    found = log_softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]], np.float32))
    np.testing.assert_allclose(np.exp(found), [[0.5, 0.5], [0.25, 0.75]], rtol=1e-6)
