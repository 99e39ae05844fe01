"""Day 3's experiment, on toy geometries: every case has its rounds, plans move like bytes."""

import pytest

from workbench.benchmark.kv import store_ablation
from workbench.benchmark.kv.store_ablation import (
    CONVERTED,
    GEOMETRIES,
    HEAD_MAJOR,
    LADDER,
    NONTEMPORAL,
    NUMPY,
    THREADS,
    TOKEN_MAJOR,
    AblationPlan,
    ceiling_name,
    plan_for,
)
from workbench.tiering.kv_geometry import KVGeometry

TOYS = {
    "seed": KVGeometry(2, 2, 64, "float16"),
    "smollm2-135m": KVGeometry(2, 1, 64, "float16"),
    "llama-70b": KVGeometry(3, 2, 64, "float16"),
}
PLAN = AblationPlan(hot_tokens=64, batch_tokens=8, store_tokens=16)


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_ablation, "GEOMETRIES", TOYS)
        return store_ablation.measure(PLAN)


def test_the_seed_geometry_has_the_whole_ladder_and_its_ceilings(found):
    ceilings = [ceiling_name("float16", 1), ceiling_name("float16", 2), ceiling_name("float32", 1)]
    aside = [TOKEN_MAJOR, HEAD_MAJOR, CONVERTED, NUMPY]
    assert list(found.seed.samples.seconds) == [*LADDER, *aside, *ceilings]


def test_the_other_geometries_have_its_ends(found):
    ceilings = [ceiling_name("float16", 1), ceiling_name("float16", 2)]
    for stores in found.stores[1:]:
        assert list(stores.samples.seconds) == [NUMPY, NONTEMPORAL, THREADS, *ceilings]


def test_rows_hold_every_round_under_the_geometry_s_name(found):
    rows = found.metrics
    assert set(rows["metric"]) == {store_ablation.METRIC}
    assert set(rows["case"]) == {f"geometry={name}" for name in TOYS}
    assert rows.height == 10 * sum(len(stores.samples.seconds) for stores in found.stores)


def test_the_best_and_its_ceiling_are_the_fastest(found):
    seed = found.seed
    rates = {name: seed.samples.median_rate(name) for name in (NONTEMPORAL, THREADS)}
    assert rates[seed.best] == max(rates.values())
    assert seed.ceiling in (ceiling_name("float16", 1), ceiling_name("float16", 2))
    assert found.over_ceiling(seed, NONTEMPORAL).median > 0


def test_other_geometries_move_about_as_many_bytes():
    arguments = AblationPlan(hot_tokens=128, batch_tokens=32, store_tokens=64)
    wanted = 32 * GEOMETRIES["seed"].bytes_per_token
    for geometry in GEOMETRIES.values():
        plan = plan_for(geometry, arguments)
        assert wanted / 2 < plan.batch_tokens * geometry.bytes_per_token <= wanted
        assert plan.hot_tokens % 64 == plan.hot_tokens % plan.batch_tokens == 0
        assert plan.store_tokens % plan.batch_tokens == 0


def test_the_seed_geometry_s_plan_is_what_was_asked_for():
    plan = plan_for(GEOMETRIES["seed"], AblationPlan(512, 32, 256, rounds=20))
    assert (plan.hot_tokens, plan.batch_tokens, plan.store_tokens, plan.rounds) == (
        512,
        32,
        256,
        20,
    )
