"""A sequence comes back from the tier, whole, both ways, beside fio of the same request size."""

import pytest

from workbench.benchmark.scratch_files import MediumError
from workbench.benchmark.storage import sequence_restore
from workbench.benchmark.storage.sequence_restore import GIVEN, POOLED, SequencePlan
from workbench.tiering.ssd_tier import SsdTier

PLAN = SequencePlan(tokens=128, rounds=2, run_ms=20)


@pytest.mark.fio
def test_a_sequence_is_restored_beside_fio(disk_folder):
    found = sequence_restore.measure(disk_folder, PLAN)
    assert found.request_kib == 1444
    assert (found.beside.job.block_kib, found.beside.job.depth) == (1444, 32)
    for case in (GIVEN, POOLED):
        assert found.beside.samples.work[case] % (2 * 64 * 23_040) == 0
        assert found.beside.samples.median_rate(case) > 0
    assert list(disk_folder.iterdir()) == []


def test_a_block_that_comes_back_changed_stops_the_benchmark(disk_folder, monkeypatch):
    real = SsdTier.get_many

    def rot(tier, keys, buffers=None):
        found = real(tier, keys, buffers)
        found[1][100] ^= 1
        return found

    monkeypatch.setattr(SsdTier, "get_many", rot)
    with pytest.raises(MediumError, match="1 of 2 blocks were missed or came back changed"):
        sequence_restore.measure(disk_folder, PLAN)
    assert list(disk_folder.iterdir()) == []


def test_a_store_that_takes_nothing_stops_the_benchmark(disk_folder, monkeypatch):
    monkeypatch.setattr(SsdTier, "put", lambda *given: False)
    with pytest.raises(MediumError, match="2 of 2 blocks could not be stored"):
        sequence_restore.measure(disk_folder, PLAN)
    assert list(disk_folder.iterdir()) == []
