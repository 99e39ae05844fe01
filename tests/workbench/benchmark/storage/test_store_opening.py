"""A store opens with every block, from its snapshot and without it, and the bytes are counted."""

import pytest

from workbench.benchmark.scratch_files import MediumError
from workbench.benchmark.storage import store_opening
from workbench.benchmark.storage.store_opening import FROM_HEADERS, FROM_SNAPSHOT, OpeningPlan

PLAN = OpeningPlan(n_blocks=200, rounds=2, fio_ms=20)
# A row of the index.
ROW_BYTES = 80


@pytest.mark.fio
def test_both_ways_find_everything_and_read_what_they_must(disk_folder):
    found = store_opening.measure(disk_folder, PLAN)
    assert found.n_blocks == 200
    work = found.beside.samples.work
    assert work[FROM_SNAPSHOT] >= 200 * ROW_BYTES
    assert work[FROM_HEADERS] >= 200 * 4096
    assert found.beside.samples.median_rate(FROM_SNAPSHOT) > 0
    assert list(disk_folder.iterdir()) == []


def test_a_lost_block_stops_the_benchmark(disk_folder, monkeypatch):
    fill = store_opening._Opener.fill

    def forgetful(opener, n_blocks, rng):
        fill(opener, n_blocks - 1, rng)
        opener.n_blocks = n_blocks

    monkeypatch.setattr(store_opening._Opener, "fill", forgetful)
    with pytest.raises(MediumError, match="199 of 200 blocks were found again"):
        store_opening.measure(disk_folder, PLAN)
    assert list(disk_folder.iterdir()) == []
