"""Selections: which cold blocks are read, by hand, and how budgets are shared out."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.tiering.tiered_kv_cache.selection import Budgets, Important, OncePerFrame, Recent

COLD = np.array([1, 2, 4, 5, 7], np.int64)
QUERY = np.zeros((2, 8), np.float32)


class Known:
    """Weights that are given; layer 1 sees those of layer 0 backwards."""

    def __init__(self, weights):
        self.given = np.array(weights, np.float32)

    def weights(self, layer, query):
        return self.given if layer == 0 else self.given[::-1]


def test_the_heaviest_cold_blocks_are_chosen_in_order():
    # Block 3 is heaviest, but hot: it is attended anyway.
    known = Known(np.array([[0.0, 0.1, 0.05, 0.5, 0.0, 0.2, 0.1, 0.05]] * 2).T)
    rule = Important(known, Budgets.uniform(0.4, 2))
    assert rule.choose(0, QUERY, COLD).tolist() == [1, 5]
    assert rule.choose(1, QUERY, COLD).tolist() == [2, 4]


def test_one_head_s_needle_outweighs_a_little_of_every_head():
    known = Known([[0, 0], [0.1, 0.1], [0.25, 0], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0]])
    # 2 * sqrt(0.1) = 0.63 > sqrt(0.25) = 0.5 > 0.
    assert Important(known, Budgets.uniform(0.4, 1)).choose(0, QUERY, COLD).tolist() == [1, 2]
    assert Important(known, Budgets.uniform(0.2, 1)).choose(0, QUERY, COLD).tolist() == [1]


@pytest.mark.parametrize("frac", [0.0, 1.0])
def test_nothing_and_everything_need_no_estimate(frac):
    rule = Important(Known([]), Budgets.uniform(frac, 1))
    assert rule.choose(0, QUERY, COLD).tolist() == (COLD.tolist() if frac else [])


def test_the_newest_are_those_with_the_highest_numbers():
    assert Recent(Budgets([0.4, 0])).choose(0, QUERY, COLD).tolist() == [5, 7]
    assert Recent(Budgets([0.4, 0])).choose(1, QUERY, COLD).tolist() == []


def test_layers_of_a_frame_share_the_first_one_s_choice():
    known = Known(np.array([[0.0, 0.1, 0.05, 0.5, 0.0, 0.2, 0.1, 0.05]] * 2).T)
    rule = OncePerFrame(Important(known, Budgets.uniform(0.4, 4)), 2)
    assert [rule.choose(layer, QUERY, COLD).tolist() for layer in range(3)] == [
        [1, 5],
        [1, 5],
        [2, 4],
    ]


def test_a_budget_is_never_exceeded():
    budgets = Budgets.uniform(0.3, 1)
    assert [budgets.blocks(0, n) for n in (0, 3, 4, 10, 239)] == [0, 0, 1, 3, 71]


def test_budgets_follow_needs_and_keep_their_mean():
    assert Budgets.shared_out(0.3, [1, 1, 2]).fracs == pytest.approx((0.225, 0.225, 0.45))
    # What the neediest cannot take goes to the others.
    assert Budgets.shared_out(0.6, [1, 1, 8]).fracs == pytest.approx((0.4, 0.4, 1.0))
    assert Budgets.shared_out(0.5, [0, 1, 0]).fracs == pytest.approx((0, 1, 0))


@pytest.mark.parametrize("frac", [0.05, 0.3, 0.7, 1.0])
def test_shared_out_budgets_are_fractions_of_that_mean(frac):
    needs = np.random.default_rng(2).random(30) ** 4 + 1e-3
    fracs = Budgets.shared_out(frac, needs.tolist()).fracs
    assert np.mean(fracs) == pytest.approx(frac)
    assert 0 <= min(fracs) <= max(fracs) <= 1


def test_what_is_no_budget_is_refused():
    with pytest.raises(UsageError, match=r"budget of 1\.2"):
        Budgets([0.5, 1.2])
    with pytest.raises(UsageError, match="at least 0, and some above it"):
        Budgets.shared_out(0.5, [0, 0])
