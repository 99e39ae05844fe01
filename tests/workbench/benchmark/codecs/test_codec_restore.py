"""Prefixes come back from the device through every codec, beside each other; damage stops it."""

import numpy as np
import pytest

from workbench.benchmark.codecs import codec_restore
from workbench.benchmark.scratch_files import MediumError
from workbench.tiering.tiered_kv_cache import CachedSequence

RNG = np.random.default_rng(0)
K, V = RNG.standard_normal((2, 128, 4, 2, 64)).astype(np.float16)
NAMES = ["none", "lossless", "int8", "int4-hadamard", codec_restore.KEPT_INT8]


def test_every_codec_restores_and_reads_fewer_bytes(disk_folder):
    found = codec_restore.measure(disk_folder, K, V, NAMES, 10)
    plain = found.read_bytes["none"]
    assert plain == found.samples.work["none"] == 2 * 128 * 4 * 2 * 64 * 2
    assert found.read_bytes["int8"] == plain * 66 // 128
    # In memory frames are whole pages.
    assert plain * 66 // 128 <= found.read_bytes[codec_restore.KEPT_INT8] < plain * 0.6
    assert found.read_bytes["int4-hadamard"] < found.read_bytes["int8"]
    assert found.read_bytes["lossless"] < plain
    assert found.time_ratio("none").median == 1
    assert found.time_ratio("int8").median > 0
    assert list(disk_folder.iterdir()) == []


@pytest.mark.parametrize("name", ["none", "int8"])
def test_values_that_come_back_changed_stop_the_benchmark(disk_folder, monkeypatch, name):
    real = CachedSequence.gather

    def rot(sequence, layer, start, stop):
        k, v = real(sequence, layer, start, stop)
        return k[::-1], v

    monkeypatch.setattr(CachedSequence, "gather", rot)
    with pytest.raises(MediumError, match="with other values"):
        codec_restore.measure(disk_folder, K, V, [name], 2)
    assert list(disk_folder.iterdir()) == []


def test_a_store_that_takes_nothing_stops_the_benchmark(disk_folder, monkeypatch):
    monkeypatch.setattr(CachedSequence, "persist", lambda sequence: False)
    with pytest.raises(MediumError, match="could not be stored"):
        codec_restore.measure(disk_folder, K, V, ["none"], 2)


def test_a_prefix_that_was_not_cold_stops_the_benchmark(disk_folder, monkeypatch):
    real = codec_restore._Loader.compare

    def same(loader, is_exact):
        real(loader, is_exact)
        loader._prefixes[0] = loader._prefixes[1]

    monkeypatch.setattr(codec_restore._Loader, "compare", same)
    with pytest.raises(MediumError, match="not from the device"):
        codec_restore.measure(disk_folder, K, V, ["none"], 2)
