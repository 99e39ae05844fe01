"""The engine beside fio: every size, random and whole, and only when the device was reached."""

import pytest

from workbench.benchmark.scratch_files import MediumError
from workbench.benchmark.storage import engine_rates
from workbench.benchmark.storage.engine_rates import DEPTH, ENGINE, RatesPlan
from workbench.tiering.async_io.open_engine import open_engine as real_open_engine

PLAN = RatesPlan(block_kib=(16,), file_mib=8, rounds=2, run_ms=20)


@pytest.mark.fio
@pytest.mark.parametrize("op", ["read", "write"])
def test_a_size_has_its_rounds_beside_fio_of_the_same_kind(disk_folder, op):
    (rate,) = engine_rates.measure(disk_folder, op, PLAN)
    assert rate.block_kib == 16
    assert rate.kind in {"io_uring", "threads"}
    job = rate.beside.job
    assert (job.op, job.block_kib, job.depth, job.random) == (op, 16, DEPTH, True)
    assert rate.beside.samples.seconds[ENGINE].shape == (2,)
    assert rate.beside.samples.median_rate(ENGINE) > 0
    assert list(disk_folder.iterdir()) == []


def test_a_page_cache_is_refused_as_a_device(disk_folder, monkeypatch):
    monkeypatch.setattr(
        engine_rates, "open_engine", lambda kind, depth: real_open_engine(kind, direct=False)
    )
    monkeypatch.setattr(engine_rates, "_sizes", lambda *given: iter(()))
    with pytest.raises(MediumError, match="not proven to reach the device"):
        engine_rates.measure(disk_folder, "read", PLAN)
    assert list(disk_folder.iterdir()) == []
