"""The trace replay: its choices are the library's, it sweeps, and it is no day."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from workbench import datasets, paths
from workbench.benchmark.caching.tier_simulation import Tiers
from workbench.benchmark.codecs import trace_replay
from workbench.errors import DataError, UsageError
from workbench.runs import registry, summary
from workbench.runs.days import DAYS, EXPERIMENTS, get_day
from workbench.runs.days.trace_replay import TRACE_REPLAY, TraceReplayParams
from workbench.runs.params import validate
from workbench.tiering.eviction import POLICIES
from workbench.tiering.write_policy import WRITE_POLICIES

GRID = ["-p", "ssd_gib=16,64", "-p", "codec=none,int8"]


def test_it_is_known_by_name_and_no_day():
    assert get_day("trace_replay") is EXPERIMENTS["trace_replay"] is TRACE_REPLAY
    assert "trace_replay" not in DAYS


@pytest.mark.parametrize(
    ("name", "known"),
    [("policy", POLICIES), ("write", WRITE_POLICIES), ("codec", trace_replay.CODECS)],
)
def test_every_choice_is_the_librarys(name, known):
    assert get_args(TraceReplayParams.model_fields[name].annotation) == tuple(known)


def test_every_trace_is_a_known_data_set():
    assert set(get_args(TraceReplayParams.model_fields["trace"].annotation)) <= set(datasets.load())


def test_parameters_become_tiers_a_codec_and_a_system():
    params = TraceReplayParams(policy="arc", ram_gib=2, ssd_gib=8, write="selective", read_gb_s=1.5)
    assert params.budget().tiers(1 << 30) == Tiers(2, 8, "arc", "selective")
    assert params.coding().name == "none"
    system = params.system()
    assert (system.bytes_per_token, system.read_gb_s, system.prefill_tokens_s) == (
        1 << 17,
        1.5,
        8000,
    )


def test_other_traces_are_cut_to_the_preset():
    assert len(TraceReplayParams(preset="tiny", trace="mooncake-synthetic").read_trace()) == 1_000


def test_what_is_out_of_range_is_refused():
    with pytest.raises(UsageError) as caught:
        validate(TraceReplayParams, {"ram_gib": 0, "codec": "lossless", "policy": "min"})
    assert len(caught.value.problems) == 3


def test_without_the_data_set_it_says_what_to_mend(monkeypatch, tmp_path, data_folder):
    monkeypatch.setenv("WORKBENCH_DATA_MIRROR", str(tmp_path / "nothing"))
    with pytest.raises(DataError, match="names no folder"):
        TraceReplayParams(preset="tiny").read_trace()


@pytest.mark.timeout(600)
def test_a_sweep_of_its_notebook_gives_a_row_a_point(tmp_path: Path, monkeypatch):
    runs = tmp_path / "runs"
    words = ["sweep", "trace_replay", *GRID, "--preset", "tiny", "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "workbench", *words],
        env={**os.environ, "WORKBENCH_RUNS": str(runs), "COLUMNS": "200"},
        cwd=paths.root(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert "4 of 4 runs" in done.stdout
    monkeypatch.setenv("WORKBENCH_RUNS", str(runs))
    records = registry.runs("trace_replay")
    assert {record.status for record in records} <= {"ok", "refuted", "undecided"}
    rows = summary.as_rows(records, ["ssd_gib", "codec"], TRACE_REPLAY.figures)
    rates = {(row["ssd_gib"], row["codec"]): float(row["hit_rate"]) for row in rows}
    assert len(rates) == len(rows) == 4
    assert rates[16, "none"] < rates[16, "int8"] < rates[64, "int8"]
    assert rates[16, "none"] < rates[64, "none"]
    assert all(row["hit_rate"] in done.stdout for row in rows)
    assert all(row["ssd_written"].endswith(" GiB") for row in rows)
