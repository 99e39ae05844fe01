"""The numbers of a store: sums that agree, gauges that are true, and Prometheus' text."""

import re
from dataclasses import asdict, fields, replace

import pytest

from tests.torture.stores import SMALL, open_small
from tests.workbench.tiering.ssd_tier.bare_cores import bare_core, key_of, new_disk
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.fault_io import FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.ssd_tier import Attributes
from workbench.tiering.ssd_tier.admission.size_limit import SizeLimit
from workbench.tiering.ssd_tier.counters import Counts
from workbench.tiering.ssd_tier.layout import LOCK_BYTES
from workbench.tiering.ssd_tier.stats import StoreStats, disk_bytes, gather

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)+)\})? (-?[0-9.e+]+)')


@pytest.fixture
def disk():
    return new_disk()


@pytest.fixture
def tier(disk):
    with open_small(disk, disk) as tier:
        yield tier


def samples(text: str) -> dict[str, float]:
    """Return each metric's value; every line must be a type or a sample of it."""
    found, typed = {}, None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, typed, kind = line.split(" ")
            assert kind in ("counter", "gauge")
            assert kind == "gauge" or typed.endswith("_total")
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert match[1] == typed
        assert match[1] not in found
        found[match[1]] = float(match[3])
    return found


def test_every_counter_and_gauge_is_in_the_text_once(tier):
    tier.put(key_of(1), b"x" * 5000)
    tier.get(key_of(1))
    tier.get(key_of(2))
    stats = tier.stats()
    found = samples(stats.prometheus())
    for name, value in asdict(stats.counts).items():
        assert found.pop(f"ssd_tier_{name}_total") == value
    for field in fields(StoreStats):
        if field.type == "int":
            name = field.name.removesuffix("_total")
            assert found.pop(f"ssd_tier_{name}") == getattr(stats, field.name)
    assert set(found) == {
        "ssd_tier_state_info",
        "ssd_tier_engine_info",
        "ssd_tier_write_amplification_ratio",
    }
    assert stats.prometheus().endswith("\n")


def test_the_engine_and_the_state_are_labels(tier):
    text = tier.stats().prometheus()
    assert 'ssd_tier_engine_info{kind="sim_disk",direct="true",fallback=""} 1\n' in text
    assert 'ssd_tier_state_info{state="ok",reason=""} 1\n' in text


def test_labels_cannot_break_the_text(tier):
    hostile = 'a "quoted" \\ path\nssd_tier_hits_total 99'
    stats = replace(tier.stats(), reason=hostile)
    text = stats.prometheus()
    assert samples(text)["ssd_tier_hits_total"] == 0
    assert r'reason="a \"quoted\" \\ path\nssd_tier_hits_total 99"} 1' in text


def test_sums_agree_whatever_was_asked(disk):
    config = replace(SMALL, admission=lambda: SizeLimit(20000))
    with open_small(disk, disk, config) as tier:
        mine = Attributes(tenant=b"mine".ljust(16))
        assert tier.put(key_of(0), b"first")
        assert tier.put(key_of(0), b"first")
        assert tier.put(key_of(1), b"mine", mine)
        assert not tier.put(key_of(2), bytes(20001))
        assert not tier.put(key_of(3), bytes(1 << 20))
        keys = [key_of(n) for n in range(4)]
        assert [value is None for value in tier.get_many(keys)] == [False, False, True, True]
        assert tier.get_many([key_of(0)], attributes=mine) == [None]
        assert tier.delete(key_of(1))
    assert tier.get(key_of(0)) is None
    assert not tier.put(key_of(0), b"late")
    counts = tier.stats().counts
    assert (counts.lookups, counts.hits, counts.misses) == (6, 2, 4)
    assert (counts.misses_absent, counts.misses_foreign, counts.misses_refused) == (2, 1, 1)
    assert (counts.puts, counts.puts_written, counts.puts_unchanged) == (6, 2, 1)
    assert counts.puts_not_admitted + counts.puts_too_large == 2
    assert (counts.puts_refused, counts.puts_failed, counts.deletes) == (1, 0, 1)
    assert counts.hit_bytes == counts.put_bytes == 9


def test_gauges_follow_what_is_stored(tier):
    empty = tier.stats()
    assert (empty.blocks, empty.live_bytes, empty.unflushed_bytes) == (0, 0, 0)
    tier.put(key_of(1), bytes(5000))
    tier.put(key_of(2), bytes(100))
    stored = tier.stats()
    assert (stored.blocks, stored.blocks_unread) == (2, 2)
    assert stored.live_bytes == stored.unflushed_bytes == (3 + 2) * PAGE_BYTES
    assert stored.segments_free == empty.segments_free - 1
    assert stored.segments_total == empty.segments_total
    assert stored.index_bytes > empty.index_bytes
    tier.get(key_of(1))
    assert tier.flush()
    flushed = tier.stats()
    assert (flushed.blocks_unread, flushed.unflushed_bytes) == (1, 0)
    assert flushed.durable_sequence > stored.durable_sequence
    tier.delete(key_of(1))
    assert tier.stats().blocks == 1
    assert tier.stats().live_bytes == 2 * PAGE_BYTES


def test_the_gauge_is_the_bytes_on_disk_at_every_moment(disk, tier):
    for number in range(60):
        tier.put(key_of(number), bytes([number]) * 9000)
        if number % 7 == 0:
            tier.flush()
        stats = tier.stats()
        on_disk = sum(disk.size(name) for name in disk.names())
        assert stats.disk_bytes == on_disk <= stats.limit_bytes <= SMALL.capacity_bytes
    assert tier.stats().counts.snapshots > 1


def test_the_lock_s_bytes_count_when_there_is_one(disk, tier):
    core = bare_core(disk)
    assert disk_bytes(core, locked=True) - disk_bytes(core, locked=False) == LOCK_BYTES
    assert gather(core, locked=True).disk_bytes == LOCK_BYTES


def test_write_amplification_is_0_before_the_first_put_and_then_counts_everything(tier):
    assert tier.stats().write_amplification == 0
    tier.put(key_of(1), bytes(PAGE_BYTES))
    stats = tier.stats()
    assert stats.counts.put_bytes == PAGE_BYTES
    assert stats.write_amplification == stats.counts.written_bytes / PAGE_BYTES
    # A page of header to a page of payload at least.
    assert stats.write_amplification >= 2
    said = samples(stats.prometheus())["ssd_tier_write_amplification_ratio"]
    assert said == pytest.approx(stats.write_amplification, rel=1e-5)


def test_a_closed_store_says_so(disk):
    with open_small(disk, disk) as tier:
        assert tier.stats().state == "ok"
    assert tier.stats().state == "closed"
    assert 'state="closed"' in tier.stats().prometheus()


def test_a_store_that_cannot_write_is_read_only_and_says_why(disk):
    clock, faults = VirtualClock(), Faults()
    with open_small(disk, FaultIO(disk, faults, clock), clock=clock) as tier:
        assert tier.put(key_of(100), b"before")
        faults.add(Fault("error", "write", chance=1.0))
        for number in range(SMALL.errors_until_read_only + 3):
            assert not tier.put(key_of(number), b"x")
        stats = tier.stats()
        assert stats.state == "read_only"
        assert stats.reason
        assert stats.counts.puts_failed + stats.counts.puts_refused == stats.counts.puts - 1
        assert stats.counts.write_errors == faults.injected["error"]
        assert 'state="read_only"' in stats.prometheus()
        assert tier.get(key_of(100)) == b"before"
        faults.clear()


def test_stats_are_of_one_moment(tier):
    before = tier.stats()
    tier.put(key_of(1), b"x")
    assert before.counts == replace(before.counts)
    assert before.counts.puts == 0
    assert tier.stats().counts.puts == 1
    assert isinstance(before.counts, Counts)
