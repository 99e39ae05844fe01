"""Day 3's tables, from rounds whose rates are known."""

import pytest

from tests.workbench.benchmark.store_samples import ablation
from workbench.benchmark.kv import store_tables
from workbench.benchmark.kv.store_ablation import BASELINE, LADDER, NONTEMPORAL, THREADS


def test_the_ladder_says_what_each_part_adds():
    table = store_tables.ladder(ablation())
    rows = {row["case"]: row for row in table.rows(named=True)}
    assert table["case"].to_list()[: len(LADDER)] == list(LADDER)
    assert rows[NONTEMPORAL]["step"] == "1.90x"
    assert rows[NONTEMPORAL]["over baseline"].startswith("9.50x")
    assert rows[BASELINE]["step"] == ""
    assert rows["copy_ceiling float32, 1 thread"]["tokens/s"] == 20_000


def test_geometries_stand_beside_the_copy_on_as_many_threads():
    table = store_tables.geometries(ablation())
    first, second = table.rows(named=True)[:2]
    assert (first["threads"], first["ceiling"], first["of the ceiling"][:5]) == (1, 40_000, "0.95x")
    assert (second["threads"], second["tokens/s"], second["ceiling"]) == (2, 36_000, 42_000)
    assert table["KiB a token"].to_list() == [512, 512, 22.5, 22.5, 320, 320]


@pytest.mark.parametrize(
    ("changed", "standings"),
    [
        ({}, ["open", "out of reach here", "reached"]),
        ({BASELINE: 3e3}, ["reached", "out of reach here", "reached"]),
        ({BASELINE: 5e3}, ["out of reach here", "out of reach here", "reached"]),
        ({NONTEMPORAL: 20e3, THREADS: 20e3}, ["open", "out of reach here", "open"]),
        ({"copy_ceiling float16, 2 threads": 6e4}, ["open", "open", "reached"]),
        ({THREADS: 55e3, "copy_ceiling float16, 2 threads": 6e4}, ["reached"] * 3),
    ],
)
def test_a_claim_beyond_the_ceiling_is_out_of_reach(changed, standings):
    assert store_tables.claims(ablation(**changed))["standing"].to_list() == standings


def test_the_sentence_says_whether_the_ceiling_allows_the_claim():
    assert "42,000 tokens/s, 10.5 times the baseline: it allows 10x" in store_tables.sentence(
        ablation()
    )
    said = store_tables.sentence(ablation(**{BASELINE: 5e3}))
    assert "8.4 times the baseline: it does not allow 10x. The store reaches 0.95" in said
