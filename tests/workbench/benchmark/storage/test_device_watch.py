"""A watch believes in a device only when the flag and mincore both say so."""

import sys

import pytest

from workbench.benchmark.scratch_files import MediumError
from workbench.benchmark.storage.device_watch import DeviceWatch, proof_table
from workbench.tiering.async_io import residency
from workbench.tiering.async_io.synchronous import SynchronousEngine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops a file's cache")


@pytest.fixture
def file(disk_folder):
    path = disk_folder / "file"
    path.write_bytes(bytes(1 << 20))
    return path


def test_direct_reads_of_a_cold_file_are_proven(file):
    with SynchronousEngine() as engine:
        watch = DeviceWatch("file", engine, engine.open(file))
        watch.chill()
        watch.before_sample()
        watch.conclude()
        watch.demand()
        assert proof_table([watch]).row(0) == ("file", "synchronous", "set", 0.0, 0.0, True)


def test_a_file_that_is_in_memory_is_not(file):
    with SynchronousEngine() as engine:
        watch = DeviceWatch("file", engine, engine.open(file))
        watch.chill()
        with file.open("rb", buffering=0) as warm:
            residency.warm(warm.fileno())
        watch.conclude()
        assert not watch.proven
        with pytest.raises(MediumError, match="mincore found the file in memory"):
            watch.demand()


def test_nothing_is_proven_before_it_was_looked_at(file):
    with SynchronousEngine() as engine:
        watch = DeviceWatch("file", engine, engine.open(file))
        assert not watch.proven
        assert proof_table([watch])["resident after"][0] is None


def test_a_buffered_engine_must_be_chilled_before_each_sample(file):
    with SynchronousEngine(direct=False) as engine:
        watch = DeviceWatch("file", engine, engine.open(file))
        watch.chill()
        with file.open("rb", buffering=0) as warm:
            residency.warm(warm.fileno())
        watch.conclude()
        watch.before_sample()
        assert watch.resident_before == [0.0, 0.0]
        assert watch.proven
        with pytest.raises(MediumError, match="not proven to reach the device"):
            watch.demand()
