"""Day 5's resume: rows and a table of every length, with a peer and without."""

from __future__ import annotations

import pytest

from tests.workbench.benchmark.stand_in_peer import StandIn, no_peers  # noqa: F401
from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference import resume_series
from workbench.benchmark.inference.resume import ResumePlan
from workbench.benchmark.inference.resume_series import (
    PEER_COMPUTED,
    PEER_RESUMED,
    RECOMPUTED,
    RESUMED,
    ResumeSeries,
)

PLAN = ResumePlan(lengths=(30, 64), rounds=2)


@pytest.mark.usefixtures("no_peers")
def test_without_the_peer_the_notes_say_how_to_get_it(tmp_path, disk_folder):
    found = resume_series.measure(write_model(tmp_path), disk_folder, PLAN)
    assert set(found.seconds) == {RECOMPUTED, RESUMED}
    assert [len(values) for values in found.seconds[RESUMED].values()] == [2, 2]
    assert "make peers" in found.notes[-1]
    assert list(disk_folder.iterdir()) == []


def test_the_peer_can_be_left_out(tmp_path, disk_folder):
    found = resume_series.measure(write_model(tmp_path), disk_folder, PLAN, with_peer=False)
    assert found.notes[-1] == "llama.cpp is left out with this preset"


def test_the_peer_computes_once_and_restores_each_round(tmp_path, disk_folder, monkeypatch):
    monkeypatch.setattr(resume_series, "LlamaCppPeer", StandIn)
    found = resume_series.measure(write_model(tmp_path), disk_folder, PLAN)
    assert [len(values) for values in found.seconds[PEER_COMPUTED].values()] == [1, 1]
    assert [len(values) for values in found.seconds[PEER_RESUMED].values()] == [2, 2]
    assert "checksum" in found.notes[-1]


def test_the_table_says_how_many_times_sooner():
    seconds = {RECOMPUTED: {64: [2.0]}, RESUMED: {64: [0.1, 0.2, 0.3]}}
    found = ResumeSeries(seconds, ())
    row = found.table.row(0, named=True)
    assert row["times sooner"] == pytest.approx(10)
    assert row["computed again ms"] == pytest.approx(2000)
    assert found.metrics["value"].to_list() == pytest.approx([2000, 100, 200, 300])
