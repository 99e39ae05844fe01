"""Named benchmarks: complete rows, unknown names, and files that keep other machines' rows."""

import json

import pytest

from workbench.benchmark import bars
from workbench.benchmark.bars import BENCHMARKS, Row, get_benchmarks
from workbench.errors import UsageError

KEYS = ["bench", "case", "ratio", "low", "high", "bar", "met", "ceiling", "unit", "machine_id"]


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    return tmp_path


def row(case: str = "a", machine_id: str = "here", ratio: float = 1.0) -> Row:
    return Row("toy", case, ratio, 0.9, 1.1, None, None, 5.0, "GB/s", machine_id)


# test_storage_bars.py runs the others, smaller than even their tiny preset.
@pytest.mark.parametrize("name", ["memory_ceiling", "kv_store_baseline"])
def test_every_benchmark_runs_and_answers_complete_rows(name):
    rows = BENCHMARKS[name].run("tiny")
    assert rows
    assert len({found.case for found in rows}) == len(rows)
    for found in rows:
        assert found.bench == name
        assert 0 < found.low <= found.ratio <= found.high
        assert found.ceiling > 0
        assert (found.bar is None) == (found.met is None)


def test_memory_ceiling_holds_everyone_against_the_best():
    rows = BENCHMARKS["memory_ceiling"].run("tiny")
    for family, count in (("copy", 5), ("read", 3), ("tile", 3)):
        for threads in (1, 2):
            cases = [r for r in rows if r.case.startswith(family) and r.case.endswith(str(threads))]
            assert len(cases) == count
            assert len({found.ceiling for found in cases}) == 1
            assert (1.0, 1.0, 1.0) in {(found.ratio, found.low, found.high) for found in cases}


def test_unknown_names_are_refused_all_at_once_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        get_benchmarks(["memory_celing", "kv_store_baseline", "zzz"])
    assert caught.value.problems == [
        "unknown benchmark 'memory_celing'; did you mean memory_ceiling?",
        f"unknown benchmark 'zzz'; there are {', '.join(BENCHMARKS)}",
    ]


def test_each_benchmark_is_run_once():
    assert [b.name for b in get_benchmarks(["kv_store_baseline"] * 2)] == ["kv_store_baseline"]


def test_a_file_has_one_json_line_a_row(runs):
    bars.save([row("a"), row("b")])
    lines = (runs / "bench" / "toy.jsonl").read_text().splitlines()
    assert [list(json.loads(line)) for line in lines] == [KEYS, KEYS]
    assert [found["case"] for found in bars.load("toy")] == ["a", "b"]


def test_saving_replaces_this_machine_s_rows_only(runs):
    bars.save([row("a", "there"), row("b", "there")])
    bars.save([row("a", ratio=1.0), row("old")])
    bars.save([row("a", ratio=2.0)])
    found = [(line["machine_id"], line["case"], line["ratio"]) for line in bars.load("toy")]
    assert found == [("there", "a", 1.0), ("there", "b", 1.0), ("here", "a", 2.0)]
    assert [path.name for path in (runs / "bench").iterdir()] == ["toy.jsonl"]


def test_what_never_ran_has_no_rows():
    assert bars.load("toy") == []
    bars.save([])
    assert not bars.folder().exists()
