"""The faster way is chosen, both ends where they promise enough, and where they meet."""

from __future__ import annotations

import math

import pytest

from workbench.tiering.unified_tier.load_or_recompute import Always, LoadOrRecompute, Way

TOKEN_BYTES = 1000


def taught(load_gb_s, compute_tokens_s, fixed_s=0.0, attend_s=0.0):
    """Return one that saw loads and computations of these costs."""
    chooser = LoadOrRecompute(TOKEN_BYTES)
    for n in (64, 256, 1024):
        chooser.loaded(n, fixed_s + n * TOKEN_BYTES / (load_gb_s * 1e9))
        chooser.computed(0, n, n / compute_tokens_s + attend_s * n * n / 2)
    return chooser


def test_both_ends_are_used_until_both_costs_are_known():
    chooser = LoadOrRecompute(TOKEN_BYTES)
    assert chooser.choose(100).way is Way.BOTH
    assert math.isnan(chooser.choose(100).load_s)
    chooser.loaded(100, 0.1)
    assert chooser.choose(100).way is Way.BOTH
    chooser.computed(0, 100, 0.1)
    assert not math.isnan(chooser.choose(100).load_s)


def test_what_is_far_faster_is_done_alone():
    assert taught(1.0, 1_000).choose(1_000).way is Way.LOAD
    assert taught(1e-5, 100_000).choose(1_000).way is Way.RECOMPUTE


def test_at_the_break_even_both_ends_take_half():
    choice = taught(1e-3, 1_000).choose(1_000)
    assert choice.way is Way.BOTH
    assert choice.load_s == pytest.approx(1.0)
    assert choice.recompute_s == pytest.approx(1.0)
    assert choice.both_s == pytest.approx(0.5, rel=0.01)
    assert choice.computed_tokens == pytest.approx(500, abs=1)


def test_attention_makes_late_tokens_dear_so_that_more_of_them_are_loaded():
    plain, attending = taught(1e-3, 1_000), taught(1e-3, 1_000, attend_s=1e-6)
    assert attending.choose(4_000).computed_tokens < plain.choose(4_000).computed_tokens


def test_the_break_even_is_where_the_curves_cross():
    # 10 ms before the first byte, then 10 us a token, against 100 us a token.
    chooser = taught(0.1, 10_000, fixed_s=0.01)
    found = chooser.break_even_tokens(4_096)
    assert found == pytest.approx(0.01 / 90e-6, abs=2)
    assert chooser.choose(found // 4).way is not Way.LOAD
    assert chooser.choose(40 * found).way is Way.LOAD
    assert taught(1e-5, 100_000).break_even_tokens(4_096) is None


def test_a_prefix_of_no_tokens_costs_nothing():
    choice = taught(1.0, 1_000, fixed_s=0.01).choose(0)
    assert (choice.load_s, choice.recompute_s, choice.both_s) == (0, 0, 0)


@pytest.mark.parametrize("way", list(Way))
def test_one_way_is_chosen_always_and_costs_are_learnt_all_the_same(way):
    always = Always(1000, way)
    always.loaded(64, 1e-9)
    assert always.recompute_s(0, 100) is None
    always.computed(0, 100, 2.0)
    assert always.choose(5).way is way
    assert always.recompute_s(0, 100) == pytest.approx(2.0)
    assert 0 < always.recompute_s(50, 100) < always.recompute_s(0, 100)
