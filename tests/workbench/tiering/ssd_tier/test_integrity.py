"""A check finds damage, files that do not belong, and sums that do not add up."""

from tests.workbench.tiering.ssd_tier.conftest import Bench
from workbench.tiering.ssd_tier.integrity import check_store


def test_a_whole_store_is_sound(bench: Bench) -> None:
    for number in range(6):
        bench.tier.put(bytes([number]) * 32, bytes(3000 * number))
    report = bench.tier.check()
    assert report.sound
    assert (report.blocks, report.bad_blocks) == (6, 0)


def test_a_damaged_block_is_found_and_forgotten(bench: Bench) -> None:
    key = b"k" * 32
    bench.tier.put(key, b"x" * 5000)
    entry = bench.core.index.get(key)
    assert entry is not None
    bench.disk.rot(f"segment-{entry.segment:05d}", (entry.page + 1) * 4096 + 9, b"y")
    report = bench.tier.check()
    assert report.bad_blocks == 1
    assert "1 of 1 blocks could not be loaded" in report.problems[0]
    assert not bench.tier.contains(key)
    assert bench.tier.check().sound


def test_bytes_that_are_not_accounted_for_are_found(bench: Bench) -> None:
    bench.disk.create("segment-00099", 4096)
    assert "accounted for" in check_store(bench.core, locked=False).problems[0]


def test_counters_that_do_not_add_up_are_found(bench: Bench) -> None:
    bench.core.counters.add(lookups=1)
    assert "hits + misses = 0, lookups = 1" in bench.tier.check().problems


def test_a_block_out_of_bounds_is_found(bench: Bench) -> None:
    key = b"k" * 32
    bench.tier.put(key, b"x")
    entry = bench.core.index.get(key)
    assert entry is not None
    bench.core.index.put(key, entry._replace(page=13))
    assert any("out of bounds" in problem for problem in bench.tier.check().problems)
