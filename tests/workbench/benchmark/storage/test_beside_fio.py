"""Cases beside fio: the ratio is to both runs of a round, the spread is fio's own."""

import os

import numpy as np
import pytest

from workbench.benchmark.paired import Case, Samples
from workbench.benchmark.storage import beside_fio
from workbench.benchmark.storage.beside_fio import BesideFio
from workbench.benchmark.storage.fio import FioJob

JOB = FioJob("read", 64, 8, 20)


def test_ratios_are_taken_round_by_round_to_both_runs():
    ours = np.full(10, 1.0)
    before, after = np.full(10, 1 / 8e9), np.full(10, 1 / 2e9)
    work = {"ours": 4e9, "fio before": 1.0, "fio after": 1.0}
    seconds = {"ours": ours, "fio before": before, "fio after": after}
    found = BesideFio(Samples(seconds, work), JOB)
    assert found.ceiling_gb_s == pytest.approx(4)
    assert found.ratio("ours").median == pytest.approx(1)
    assert found.spread().median == pytest.approx(0.25)


@pytest.mark.fio
def test_fio_stands_at_both_ends_of_every_round(disk_folder, monkeypatch):
    path = disk_folder / "file"
    path.write_bytes(os.urandom(1 << 20))
    calls: list[str] = []
    real = beside_fio.fio.run
    monkeypatch.setattr(
        beside_fio.fio, "run", lambda *given: (calls.append("fio"), real(*given))[1]
    )

    def ours() -> float:
        calls.append("ours")
        return 0.5

    found = beside_fio.measure([Case("ours", ours, 1e9)], path, JOB, rounds=2)
    assert calls == ["fio", "ours", "fio"] * 3
    assert found.job == JOB
    assert found.samples.median_rate("ours") == pytest.approx(2e9)
    assert found.fio_rate().shape == (2,)
    assert found.ceiling_gb_s > 0
