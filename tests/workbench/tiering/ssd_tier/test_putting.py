"""A put is stored whole and seen, or it is not seen at all; a delete is final."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from tests.torture.model import key_of
from tests.torture.stores import SMALL
from tests.workbench.tiering.ssd_tier.faulty_store import FaultyStore, block, open_faulty
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.ssd_tier import Attributes, SsdTierConfig
from workbench.tiering.ssd_tier.admission.size_limit import SizeLimit
from workbench.tiering.ssd_tier.config import MIB
from workbench.tiering.ssd_tier.putting import Offer, put_all

N_BLOCKS = 8
FAILURES = {
    "EIO": Fault("error", "write", nth=1, number=errno.EIO),
    "ENOSPC": Fault("error", "write", nth=1, number=errno.ENOSPC),
    "EFBIG": Fault("error", "write", nth=1, number=errno.EFBIG),
    "short write": Fault("short", "write", nth=1, keep_bytes=512),
}
# Long segments: what is tried here never meets the end of one.
ROOMY = replace(SMALL, segment_bytes=64 * PAGE_BYTES, capacity_bytes=7 * 64 * PAGE_BYTES)


def run(store: FaultyStore) -> tuple[dict[int, bytes | None], list[str]]:
    """Put and overwrite blocks; return what must be there, and what was seen to be wrong."""
    expected: dict[int, bytes | None] = dict.fromkeys(range(N_BLOCKS))
    wrong = []
    for version in range(2):
        for number in range(N_BLOCKS):
            value = block(number, version)
            if store.tier.put(key_of(number), value):
                expected[number] = value
            found = store.tier.get(key_of(number))
            if found != expected[number]:
                wrong.append(f"block {number}, version {version}")
    return expected, wrong


@pytest.mark.parametrize("rule", FAILURES.values(), ids=FAILURES)
def test_a_failed_put_is_invisible_at_every_write(rule: Fault) -> None:
    nth, failed_puts = 0, 0
    while True:
        nth += 1
        store = open_faulty()
        store.fail(replace(rule, nth=nth))
        expected, wrong = run(store)
        if not store.faults.injected:
            break
        assert not wrong, (nth, wrong)
        failed_puts += store.counts.puts_failed
        assert store.counts.write_errors == 1
        assert store.counts.puts == 2 * N_BLOCKS
        assert store.counts.puts_written + store.counts.puts_failed == 2 * N_BLOCKS
        assert store.tier.flush()
        store.faults.clear()
        store.engine.release()
        for tier in (store.killed(), *store.after_power_loss(1, seed=nth)):
            assert {n: tier.get(key_of(n)) for n in expected} == expected, nth
            assert tier.check().sound
    # Every put writes once at least, and what it wrote failed once.
    assert nth > 2 * N_BLOCKS
    assert failed_puts >= 2 * N_BLOCKS


def test_a_put_that_hangs_ends_at_its_deadline_and_is_never_seen() -> None:
    store = open_faulty(ROOMY)
    store.tier.put(key_of(1), block(1, 0))
    store.fail(Fault("hang", "write", nth=1))
    start_ns = store.clock.now_ns()
    assert not store.tier.put(key_of(1), block(1, 1))
    assert store.clock.now_ns() - start_ns == round(ROOMY.write_deadline_s * 1e9)
    assert store.counts.late_requests == store.counts.puts_failed == 1
    assert store.tier.get(key_of(1)) == block(1, 0)
    assert store.engine.stats().pinned_buffers == 1
    assert store.tier.put(key_of(2), block(2)), "the tier goes on"
    # Now the device does what it was asked for so long ago.
    assert store.engine.release() == 1
    assert store.tier.get(key_of(1)) == block(1, 0)
    assert store.tier.get(key_of(2)) == block(2)
    # Nobody knows when it will be done with that place, so the flush may forget the key instead.
    assert store.tier.flush()
    for tier in (store.tier, store.killed(), *store.after_power_loss(5)):
        assert tier.get(key_of(1)) in (None, block(1, 0))
        assert tier.get(key_of(2)) == block(2)


def test_wherever_a_write_hangs_every_answer_is_a_miss_or_the_last_stored_value() -> None:
    nth = 0
    while True:
        nth += 1
        store = open_faulty()
        store.fail(Fault("hang", "write", nth=nth))
        expected, wrong = run(store)
        assert not wrong, (nth, wrong)
        if not store.faults.injected:
            break
        # One wait for what hangs; everything after it is answered at once.
        assert store.clock.now_ns() <= 1.1e9 * SMALL.write_deadline_s, nth
        store.engine.release()
        store.tier.flush()
        for tier in (store.tier, store.killed()):
            answers = {n: tier.get(key_of(n)) for n in expected}
            assert all(answers[n] in (None, expected[n]) for n in expected), nth


def test_a_failed_overwrite_leaves_the_old_block() -> None:
    store = open_faulty()
    assert store.tier.put(key_of(1), block(1, 0))
    store.fail(Fault("error", "write", nth=1))
    assert not store.tier.put(key_of(1), block(1, 1))
    assert store.tier.get(key_of(1)) == block(1, 0)
    assert store.tier.put(key_of(1), block(1, 1))
    assert store.tier.get(key_of(1)) == block(1, 1)


def test_what_is_stored_already_is_not_written_again() -> None:
    store = open_faulty()
    assert store.tier.put(key_of(1), block(1))
    writes = store.faults.calls["write"]
    assert store.tier.put(key_of(1), block(1))
    assert store.faults.calls["write"] == writes
    assert store.counts.puts_unchanged == 1


def test_the_same_bytes_with_other_attributes_are_written() -> None:
    store = open_faulty()
    theirs = Attributes(tenant=b"t" * 16)
    assert store.tier.put(key_of(1), block(1))
    assert store.tier.put(key_of(1), block(1), theirs)
    assert store.counts.puts_written == 2
    (found,) = store.tier.get_many([key_of(1)], attributes=theirs)
    assert found == block(1)


def test_the_largest_block_fits_and_a_byte_more_does_not() -> None:
    store = open_faulty()
    most = store.core.layout.value_bytes_max
    assert store.tier.put(key_of(1), block(1, 0, most))
    assert not store.tier.put(key_of(2), block(2, 0, most + 1))
    assert store.tier.get(key_of(1)) == block(1, 0, most)
    assert not store.tier.contains(key_of(2))
    assert store.counts.puts_too_large == 1


def test_what_the_policy_refuses_is_not_written_and_the_old_block_stays() -> None:
    store = open_faulty(replace(SMALL, admission=lambda: SizeLimit(6000)))
    assert store.tier.put(key_of(1), block(1, 0))
    assert not store.tier.put(key_of(1), block(1, 1, 7000))
    assert store.tier.get(key_of(1)) == block(1, 0)
    assert store.counts.puts_not_admitted == 1


def test_an_empty_block_is_a_block() -> None:
    store = open_faulty()
    assert store.tier.put(key_of(1), b"")
    assert store.tier.get(key_of(1)) == b""


def test_many_parts_are_stored_each_under_its_own_key() -> None:
    config = SsdTierConfig(
        64 * MIB, 8 * MIB, flush_every_s=None, pool_bytes=32 * MIB, write_deadline_s=60
    )
    store = open_faulty(config)
    values = [block(n, 0, MIB + n) for n in range(20)]
    offers = [Offer(key_of(n), memoryview(v), Attributes()) for n, v in enumerate(values)]
    assert put_all(store.core, offers, store.core.deadline(60)) == [True] * 20
    assert store.tier.get_many([key_of(n) for n in range(20)]) == values


def test_one_failure_among_many_is_told_for_that_one_only() -> None:
    store = open_faulty()
    store.tier.put(key_of(9), b"opens the segment")
    store.fail(Fault("error", "write", nth=2))
    blocks = [(key_of(n), block(n), Attributes()) for n in range(4)]
    answers = store.tier.put_many(blocks)
    assert sorted(answers) == [False, True, True, True]
    found = [value is not None for value in store.tier.get_many([key_of(n) for n in range(4)])]
    assert found == answers


def test_a_tier_whose_writes_keep_failing_becomes_read_only_and_says_so_once() -> None:
    store = open_faulty(ROOMY)
    assert store.tier.put(key_of(0), block(0))
    store.fail(Fault("error", "write", nth=1, times=10**6))
    limit = ROOMY.errors_until_read_only
    for number in range(1, limit + 1):
        assert store.tier.stats().state == "ok"
        assert not store.tier.put(key_of(number), block(number))
    stats = store.tier.stats()
    assert stats.state == "read_only"
    assert stats.reason.startswith(f"{limit} writes failed in a row, the last one: ")
    assert "Input/output error" in stats.reason
    writes = store.faults.calls["write"]
    for number in range(10):
        assert not store.tier.put(key_of(number), block(number, 7))
    assert store.faults.calls["write"] == writes, "a read-only tier must leave the device alone"
    assert store.tier.stats().reason == stats.reason
    assert store.counts.puts_refused == 10
    assert store.tier.get(key_of(0)) == block(0), "reads go on"


def test_a_read_only_tier_tries_one_write_after_the_interval_and_recovers() -> None:
    store = open_faulty(ROOMY)
    store.tier.put(key_of(0), block(0))
    store.fail(Fault("error", "write", nth=1, times=ROOMY.errors_until_read_only + 1))
    for number in range(ROOMY.errors_until_read_only):
        store.tier.put(key_of(number), block(number, 1))
    store.clock.sleep(ROOMY.read_only_retry_s)
    assert [store.tier.put(key_of(n), block(n, 1)) for n in range(3)] == [False] * 3
    assert store.faults.injected["error"] == ROOMY.errors_until_read_only + 1, "one was tried"
    assert store.tier.stats().state == "read_only"
    store.clock.sleep(ROOMY.read_only_retry_s)
    assert [store.tier.put(key_of(n), block(n, 1)) for n in range(3)] == [True] * 3
    assert (store.tier.stats().state, store.tier.stats().reason) == ("ok", "")


def test_a_burst_of_errors_at_a_segments_end_is_told_and_outlived() -> None:
    store = open_faulty()
    assert store.tier.put(key_of(0), block(0))
    store.fail(Fault("error", "write", nth=1, times=10**6))
    for number in range(1, 20):
        assert not store.tier.put(key_of(number), block(number))
    stats = store.tier.stats()
    assert (stats.state, bool(stats.reason)) == ("read_only", True)
    assert stats.segments_free > 0, "one failed put costs no more than one segment"
    assert store.counts.puts_refused > 0
    store.faults.clear()
    store.clock.sleep(SMALL.read_only_retry_s)
    for number in range(20, 30):
        assert store.tier.put(key_of(number), block(number))
        assert store.tier.get(key_of(number)) == block(number)
    assert store.tier.stats().state == "ok"
    assert store.tier.get(key_of(0)) == block(0)
    assert store.tier.flush()
    assert store.tier.check().sound


@pytest.mark.parametrize("nth", [1, 2, 3, 7, 8])
def test_one_hung_write_costs_one_put_and_one_segment(nth: int) -> None:
    store = open_faulty()
    store.fail(Fault("hang", "write", nth=nth))
    answers = [store.tier.put(key_of(number), block(number)) for number in range(12)]
    assert store.faults.injected["hang"] == 1
    assert answers.count(False) == 1
    assert store.tier.stats().segments_bad <= 1


def test_a_closed_store_refuses_puts_and_counts_them() -> None:
    store = open_faulty()
    store.tier.close()
    assert not store.tier.put(key_of(1), block(1))
    assert store.counts.puts_refused == store.counts.puts == 1


def test_a_deleted_block_is_gone_and_stays_gone_after_a_kill() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    assert store.tier.delete(key_of(1))
    assert store.tier.get(key_of(1)) is None
    assert store.killed().get(key_of(1)) is None
    assert not store.tier.delete(key_of(1)), "it is not there any more"
    assert store.counts.deletes == 1


def test_deleting_what_never_was_writes_nothing() -> None:
    store = open_faulty()
    writes = store.faults.calls["write"]
    assert not store.tier.delete(key_of(1))
    assert store.faults.calls["write"] == writes


def test_a_delete_whose_tombstone_failed_is_final_after_a_flush() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    assert store.tier.flush()
    store.fail(Fault("error", "write", nth=1))
    assert store.tier.delete(key_of(1))
    assert store.tier.get(key_of(1)) is None
    assert store.tier.flush()
    for tier in store.after_power_loss(10):
        assert tier.get(key_of(1)) is None
