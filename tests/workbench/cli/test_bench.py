"""`workbench bench` as a person and as a program call it."""

import json
import sys

import pytest
from typer.testing import CliRunner

from workbench import cli
from workbench.benchmark import bars
from workbench.benchmark.bars import BENCHMARKS, Benchmark, Finding
from workbench.benchmark.statistics import Claim, Ratio

KEYS = ["bench", "case", "ratio", "low", "high", "bar", "met", "ceiling", "unit", "machine_id"]


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    return tmp_path


@pytest.fixture
def toy(monkeypatch):
    """A benchmark in place of the real ones, which notes the presets that it was run with."""
    presets: list[str] = []

    def measure(preset):
        presets.append(preset)
        ratio = Ratio(0.95, 0.93, 0.97, 20)
        return [
            Finding("near", ratio, 20.0, "GB/s", Claim.parse(">= 0.9x")),
            Finding("plain", ratio, 20.0, "GB/s"),
        ]

    toys = {n: Benchmark(n, f"{n}?", ">= 0.9x", measure) for n in ("toy", "other")}
    monkeypatch.setattr(bars, "BENCHMARKS", toys)
    return presets


def run(*arguments: str):
    result = CliRunner().invoke(cli.app, ["bench", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_without_names_it_lists(runs):
    text = run()
    assert all(name in text for name in BENCHMARKS)
    listed = json.loads(run("--json"))
    assert [entry["name"] for entry in listed] == list(BENCHMARKS)
    assert all(entry["question"].endswith("?") and entry["bar"] for entry in listed)
    assert not (runs / "bench").exists()


def test_json_is_one_line_a_row(toy, runs):
    rows = [json.loads(line) for line in run("toy", "--json").splitlines()]
    assert [list(row) for row in rows] == [KEYS, KEYS]
    assert [(row["bar"], row["met"]) for row in rows] == [(">= 0.9x", True), (None, None)]
    saved = (runs / "bench" / "toy.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in saved] == rows


def test_people_get_a_table(toy):
    text = run("toy")
    for part in ("toy?", "near", "0.95x [0.93, 0.97]", ">= 0.9x", "yes", "19.0", "20.0", "GB/s"):
        assert part in text


def test_presets_and_all(toy, runs):
    run("--all", "--preset", "tiny", "--json")
    run("toy", "other", "toy", "--json")
    assert toy == ["tiny", "tiny", "standard", "standard"]
    assert {path.name for path in (runs / "bench").iterdir()} == {"toy.jsonl", "other.jsonl"}


def test_an_unknown_name_exits_2_with_the_nearest_before_anything_runs(
    toy, runs, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["workbench", "bench", "toy", "othr"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert "unknown benchmark 'othr'; did you mean other?" in capsys.readouterr().err
    assert toy == []
    assert not (runs / "bench").exists()


def test_a_real_one_from_end_to_end():
    rows = [
        json.loads(line)
        for line in run("kv_store_baseline", "--preset", "tiny", "--json").splitlines()
    ]
    assert [row["case"].split("variant=")[1] for row in rows] == [
        "python_per_head",
        "numpy_per_layer",
        "njit_scalar",
    ]
    assert all(row["unit"] == "tokens/s" and row["ratio"] > 0 for row in rows)
