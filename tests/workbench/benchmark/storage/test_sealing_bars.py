"""The bars of sealed blocks: which cases there are, and what each is held against."""

import pytest

from workbench.benchmark import bars
from workbench.benchmark.storage import sealing_bars
from workbench.benchmark.storage.sequence_restore import SequencePlan


@pytest.fixture(autouse=True)
def small(monkeypatch, disk_folder):
    monkeypatch.setenv("WORKBENCH_DATA", str(disk_folder))
    plan = SequencePlan(tokens=128, rounds=10, run_ms=5)
    monkeypatch.setattr(sealing_bars, "_SEQUENCES", {"tiny": plan})
    monkeypatch.setattr(sealing_bars, "_RATES", {"tiny": (2, 10)})


@pytest.mark.fio
def test_both_restores_have_their_bars_beside_fio():
    found = bars.BENCHMARKS["sealed_restore"].measure("tiny")
    assert [finding.bar for finding in found] == ["median >= 0.8x", "median >= 0.7x", None, None]
    assert [finding.case.split()[0] for finding in found] == ["tokens=128"] * 3 + ["fio"]
    plain, sealed, over, _ = found
    assert plain.ceiling == sealed.ceiling > 0
    assert over.case.endswith("AES-256-GCM, every tag checked over checksums")


def test_sealing_and_opening_stand_beside_the_copy():
    found = bars.BENCHMARKS["seal_speed"].measure("tiny")
    assert {finding.case: finding.bar for finding in found} == {
        f"{name} threads={threads}": None for name in ("seal", "open") for threads in (1, 2)
    }
    assert all(finding.ceiling > 0 and finding.unit == "GB/s" for finding in found)
