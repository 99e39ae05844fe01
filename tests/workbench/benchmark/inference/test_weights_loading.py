"""Weights are loaded cold in three ways beside fio, and never from a cache or with other bytes."""

import pytest

from tests.workbench.tiering.gguf_models import Model
from workbench.benchmark.inference import weights_loading
from workbench.benchmark.inference.weights_loading import AHEAD, DIRECT, FAULTED, LoadingPlan
from workbench.benchmark.scratch_files import MediumError
from workbench.tiering.async_io import residency
from workbench.tiering.mmap_gguf.direct_reader import DirectReader

PLAN = LoadingPlan(limit_mib=5, rounds=2, run_ms=200)


@pytest.fixture
def path(tmp_path):
    # Layers of 2.3 MiB.
    model = Model(embedding=256, feed_forward=512, kind="F32", layers=4)
    return model.file().write(tmp_path / "m.gguf")


@pytest.mark.fio
def test_whole_layers_up_to_the_limit_are_loaded_beside_fio(disk_folder, path):
    found = weights_loading.measure(path, disk_folder, PLAN)
    assert found.n_layers == 2
    assert 4 << 20 < found.n_bytes <= 5 << 20
    for case in (FAULTED, AHEAD, DIRECT):
        assert found.beside.samples.work[case] == found.n_bytes
        assert found.beside.samples.median_rate(case) > 0
    assert list(disk_folder.iterdir()) == []


def test_other_bytes_stop_the_benchmark(disk_folder, path, monkeypatch):
    real = DirectReader.read

    def rot(reader, group, memory):
        tensors = real(reader, group, memory)
        memory[memory.size // 4] ^= 1
        return tensors

    monkeypatch.setattr(DirectReader, "read", rot)
    with pytest.raises(MediumError, match="bring other bytes than the mapped file"):
        weights_loading.measure(path, disk_folder, PLAN)
    assert list(disk_folder.iterdir()) == []


@pytest.mark.fio
def test_a_file_that_stays_in_memory_stops_the_benchmark(disk_folder, path, monkeypatch):
    monkeypatch.setattr(residency, "drop_cache", lambda fd: 0.5)
    with pytest.raises(MediumError, match="50% of it stay in memory"):
        weights_loading.measure(path, disk_folder, PLAN)


def test_layers_beyond_the_limit_stop_the_benchmark(disk_folder, path):
    with pytest.raises(MediumError, match="has no layer of 1 MiB or less"):
        weights_loading.measure(path, disk_folder, LoadingPlan(1, 2, 50))
