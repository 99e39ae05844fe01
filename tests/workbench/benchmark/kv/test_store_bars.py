"""The store's bars, on toy geometries: which cases there are, and what each is held against."""

import pytest

from workbench.benchmark import bars
from workbench.benchmark.kv import store_ablation, store_bars
from workbench.benchmark.kv.store_ablation import AblationPlan
from workbench.tiering.kv_geometry import KVGeometry

TOY = KVGeometry(2, 2, 64, "float16")
PLAN = AblationPlan(hot_tokens=64, batch_tokens=8, store_tokens=16)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setattr(store_ablation, "GEOMETRIES", {"seed": TOY})
    monkeypatch.setattr(store_bars, "GEOMETRIES", {"seed": TOY, "other": TOY})
    monkeypatch.setattr(store_bars, "_PLANS", {"tiny": PLAN})


def measured(name):
    return bars.BENCHMARKS[name].measure("tiny")


def test_the_kernel_s_bar_is_the_seed_geometry_s():
    found = measured("store_kernel")
    bars_of = {finding.case: finding.bar for finding in found}
    assert bars_of == {
        "geometry=seed float16 threads=1": "median >= 0.95x",
        "geometry=seed float16 threads=2": "median >= 0.95x",
        "geometry=seed the copy again": None,
        "geometry=other float16 threads=1": None,
        "geometry=other float16 threads=2": None,
        "geometry=other the copy again": None,
    }
    assert all(finding.unit == "tokens/s" and finding.ceiling > 0 for finding in found)


def test_the_baseline_s_row_stands_beside_what_a_copy_could_do():
    store, copy = measured("store_vs_baseline")
    assert (store.bar, copy.bar) == (">= 10x", None)
    assert store.ceiling == copy.ceiling
    says = "allows the bar" if copy.ratio.median >= 10 else "is below the bar"
    assert copy.case == f"geometry=seed copy threads=2, which {says}"


def test_int8_is_held_against_float16_on_as_many_threads():
    found = measured("store_int8")
    assert [finding.case for finding in found] == [
        "geometry=seed int8 threads=1",
        "geometry=seed int8 threads=2",
    ]
    assert {finding.bar for finding in found} == {"median >= 0.8x"}
