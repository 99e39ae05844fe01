"""Resuming from the SSD: the same logits, really from the disk, in turns with the other ways."""

from __future__ import annotations

import pytest

from tests.workbench.benchmark.stand_in_peer import StandIn, no_peers  # noqa: F401
from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference import resume
from workbench.benchmark.inference.resume import (
    PEER_RESTORED,
    RECOMPUTED,
    RESTORED,
    RESUMED,
    ResumePlan,
    stored,
)
from workbench.benchmark.scratch_files import MediumError

PLAN = ResumePlan(lengths=(30, 64, 130), rounds=10)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_every_length_comes_back_from_the_device(tmp_path, disk_folder, dtype):
    with stored(write_model(tmp_path), disk_folder, ResumePlan((30, 64, 130), 10, dtype)) as text:
        for n_tokens in PLAN.lengths:
            before = text.ssd.stats().engine.read_bytes
            assert text.resume(n_tokens) > 0
            assert text.ssd.stats().engine.read_bytes > before
            assert text.recompute(n_tokens) > 0
        assert list(text.recomputed_s) == [30, 64, 130]
        assert sorted(text.recomputed_s.values()) == list(text.recomputed_s.values())


def test_what_does_not_come_back_whole_is_no_measurement(tmp_path, disk_folder):
    with (
        stored(write_model(tmp_path), disk_folder, PLAN) as text,
        pytest.raises(MediumError, match="64 of 100 tokens came back"),
    ):
        text.restore(100)


def test_resume_and_recompute_take_turns(tmp_path, disk_folder):
    found = resume.against_recompute(write_model(tmp_path), disk_folder, PLAN)
    assert list(found) == [30, 64, 130]
    assert all(set(one.seconds) == {RESUMED, RECOMPUTED} for one in found.values())
    assert list(disk_folder.iterdir()) == []


@pytest.mark.usefixtures("no_peers")
def test_without_the_peer_ours_is_restored_alone(tmp_path, disk_folder):
    found = resume.against_llamacpp(write_model(tmp_path), disk_folder, ResumePlan((64,), 10))
    assert set(found[64].seconds) == {RESTORED}


def test_a_peer_restores_its_own_state_of_each_length(tmp_path, disk_folder, monkeypatch):
    monkeypatch.setattr(resume, "LlamaCppPeer", StandIn)
    found = resume.against_llamacpp(write_model(tmp_path), disk_folder, ResumePlan((30, 64), 10))
    assert all(set(one.seconds) == {RESTORED, PEER_RESTORED} for one in found.values())
    assert list(disk_folder.iterdir()) == []
