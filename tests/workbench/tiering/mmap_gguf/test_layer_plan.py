"""plan_layers(): what stays and what passes, never beyond the budget."""

import itertools

import pytest

from workbench.errors import UsageError
from workbench.tiering.mmap_gguf.layer_plan import Passage, plan_layers


def test_what_fits_stays():
    plan = plan_layers([10] * 4, 5, 45)
    assert plan.passing == (False,) * 4
    assert (plan.place_bytes, plan.needed_bytes) == (0, 45)
    with pytest.raises(ValueError, match="all layers stay"):
        plan.next_passing(0)


def test_one_byte_less_lets_three_layers_pass_in_two_places():
    plan = plan_layers([10] * 6, 5, 64)
    assert sum(plan.passing) == 3
    assert plan.needed_bytes == 5 + 3 * 10 + 2 * 10


def test_the_least_budget_lets_all_pass():
    plan = plan_layers([10] * 6, 5, 25)
    assert plan.passing == (True,) * 6
    assert plan.needed_bytes == 25


def test_less_than_that_is_refused_with_the_least():
    with pytest.raises(
        UsageError, match=r"15\.0 MiB is too small .* need 25\.0 MiB; give at least"
    ):
        plan_layers([10 << 20] * 6, 5 << 20, 15 << 20)


def test_what_passes_is_spread_evenly():
    plan = plan_layers([10] * 80, 0, 600)
    places = [layer for layer, passes in enumerate(plan.passing) if passes]
    gaps = {after - before for before, after in itertools.pairwise(places)}
    assert len(places) == 22
    assert gaps <= {2, 3, 5}


def test_a_smaller_budget_lets_the_same_layers_pass_and_more():
    plans = [plan_layers([10] * 30, 5, budget) for budget in range(305, 15, -10)]
    passing = [{layer for layer, passes in enumerate(plan.passing) if passes} for plan in plans]
    assert len(passing[-1]) == 30
    assert all(fewer <= more for fewer, more in itertools.pairwise(passing))


def test_more_places_and_staging_count():
    passage = Passage(places=3, staging_bytes=7)
    plan = plan_layers([10] * 6, 5, 64, passage)
    assert sum(plan.passing) == 4
    assert plan.needed_bytes == 5 + 2 * 10 + 3 * 10 + 7
    assert plan_layers([10] * 6, 5, 65, passage).needed_bytes == 65
    with pytest.raises(UsageError, match="give at least 42 bytes"):
        plan_layers([10] * 6, 5, 41, passage)


@pytest.mark.parametrize("budget", [25, 30, 37, 45, 64, 65, 1000])
def test_no_plan_needs_more_than_its_budget(budget):
    sizes = [7, 10, 3, 10, 8, 9]
    plan = plan_layers(sizes, 5, budget)
    passing = [size for size, passes in zip(sizes, plan.passing, strict=True) if passes]
    assert plan.needed_bytes <= budget
    assert plan.needed_bytes == 5 + sum(sizes) - sum(passing) + 2 * max(passing, default=0)


def test_the_next_passing_layer_comes_after_the_last_again():
    plan = plan_layers([10] * 6, 0, 50)
    assert [layer for layer in range(6) if plan.passing[layer]] == [1, 3, 4]
    assert [plan.next_passing(layer) for layer in range(6)] == [1, 3, 3, 4, 1, 1]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_layers_stay_or_nothing_fits(count):
    plan = plan_layers([10] * count, 5, 5 + 10 * count)
    assert not any(plan.passing)
    with pytest.raises(UsageError, match="too small"):
        plan_layers([10] * count, 5, 4 + 10 * count)
