"""A sealed sequence comes back beside a plain one and fio; what opens wrong stops the benchmark."""

import pytest

from workbench.benchmark.scratch_files import MediumError
from workbench.benchmark.storage import sealed_restore
from workbench.benchmark.storage.sealed_restore import COPY, OPEN, PLAIN, SEAL, SEALED
from workbench.benchmark.storage.sequence_restore import BLOCK_BYTES, SequencePlan
from workbench.tiering.encryption import StoreSealing

PLAN = SequencePlan(tokens=128, rounds=2, run_ms=20)


@pytest.mark.fio
def test_both_stores_are_restored_beside_fio(disk_folder):
    found = sealed_restore.measure(disk_folder, PLAN)
    assert found.request_kib == 1444
    assert (found.beside.job.block_kib, found.beside.job.depth) == (1444, 32)
    for case in (PLAIN, SEALED):
        assert found.beside.samples.work[case] % (2 * BLOCK_BYTES) == 0
        assert found.beside.samples.median_rate(case) > 0
    assert list(disk_folder.iterdir()) == []


def test_a_block_that_opens_to_other_bytes_stops_the_benchmark(disk_folder, monkeypatch):
    real = StoreSealing.open

    def wrong(sealing, header, payload):
        real(sealing, header, payload)
        payload[100] ^= 1

    monkeypatch.setattr(StoreSealing, "open", wrong)
    with pytest.raises(MediumError, match="2 of 2 blocks were missed or came back changed"):
        sealed_restore.measure(disk_folder, PLAN)
    assert list(disk_folder.iterdir()) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_rates_are_of_the_same_bytes(threads):
    samples = sealed_restore.measure_rates(3, 2, threads)
    assert samples.work == dict.fromkeys((COPY, SEAL, OPEN), 3.0 * BLOCK_BYTES)
    assert all(samples.median_rate(name) > 0 for name in (COPY, SEAL, OPEN))


def test_rates_of_what_opens_wrong_are_not_taken(monkeypatch):
    monkeypatch.setattr(sealed_restore, "decrypt", lambda *given: None)
    with pytest.raises(MediumError, match="came back changed"):
        sealed_restore.measure_rates(2, 2, 1)
