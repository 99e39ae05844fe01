"""What was flushed survives; what a failed sync left in doubt is claimed by nobody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.torture.model import key_of
from tests.torture.stores import SMALL, open_small
from tests.workbench.tiering.ssd_tier.conftest import Bench
from tests.workbench.tiering.ssd_tier.faulty_store import block, open_faulty
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.ssd_tier.durability import conclude, flush
from workbench.tiering.ssd_tier.frame import Kind, unpack

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def images(bench: Bench, n: int = 40) -> list[SsdTier]:
    rng = np.random.default_rng(1)
    disks = bench.disk.crash_images(rng, n, since=bench.disk.position)
    return [open_small(disk, disk) for disk in disks]


def kind_at(bench: Bench, segment: int, page: int) -> Kind:
    return unpack(bench.disk.content(f"segment-{segment:05d}"), page * 4096).kind


def test_flushed_blocks_survive_every_power_loss(bench: Bench) -> None:
    bench.tier.put(A, b"first")
    assert bench.tier.flush()
    bench.tier.put(B, b"second")
    found = [(tier.get(A), tier.get(B)) for tier in images(bench)]
    assert {a for a, _ in found} == {b"first"}
    assert {b for _, b in found} == {None, b"second"}


def test_a_failed_sync_is_not_tried_again_and_drops_what_it_covered(bench: Bench) -> None:
    bench.tier.put(A, b"safe")
    assert bench.tier.flush()
    bench.tier.put(B, b"in doubt")
    bench.fail("error", "sync")
    calls = bench.faults.calls["sync"]
    assert not bench.tier.flush()
    assert bench.faults.calls["sync"] == calls + 1
    assert bench.tier.get(B) is None
    assert bench.tier.get(A) == b"safe"
    stats = bench.tier.stats()
    assert (stats.counts.blocks_dropped, stats.counts.flushes_failed) == (1, 1)
    # What comes next goes into another segment, and is claimed again.
    bench.tier.put(C, b"later")
    assert bench.tier.flush()
    assert {tier.get(C) for tier in images(bench)} == {b"later"}
    assert {tier.get(B) for tier in images(bench)} == {None}


def test_an_overwritten_frame_is_dead_after_the_flush(bench: Bench) -> None:
    bench.tier.put(A, b"old")
    old = bench.core.index.get(A)
    assert old is not None
    bench.tier.put(A, b"new")
    assert kind_at(bench, old.segment, old.page) == Kind.BLOCK
    assert bench.tier.flush()
    assert kind_at(bench, old.segment, old.page) == Kind.DEAD
    assert bench.tier.stats().strays == 0


def test_damage_to_the_newer_frame_never_brings_the_older_back(bench: Bench) -> None:
    bench.tier.put(A, b"old")
    bench.tier.flush()
    bench.tier.put(A, b"new")
    bench.tier.flush()
    new = bench.core.index.get(A)
    assert new is not None
    bench.disk.rot(f"segment-{new.segment:05d}", new.page * 4096 + 40, b"\xff\xff\xff")
    assert bench.tier.get(A) is None
    assert bench.killed().get(A) is None


def test_a_deleted_block_never_comes_back(bench: Bench) -> None:
    bench.tier.put(A, b"old")
    bench.tier.flush()
    assert bench.tier.delete(A)
    assert bench.tier.flush()
    assert {tier.get(A) for tier in images(bench)} == {None}
    # Not even if the tombstone is lost as well.
    tombstone = bench.core.table.open
    assert tombstone is not None
    page = tombstone.end_page - 1
    assert kind_at(bench, tombstone.number, page) == Kind.TOMBSTONE
    bench.disk.rot(f"segment-{tombstone.number:05d}", page * 4096, bytes(256))
    assert bench.killed().get(A) is None


def test_a_mark_that_went_astray_is_noticed(bench: Bench) -> None:
    bench.tier.put(A, b"old")
    bench.tier.flush()
    bench.tier.delete(A)
    bench.fail("drop", "write")
    assert bench.tier.flush()
    assert [stray.key for stray in bench.core.strays.stuck()] == [A]
    bench.tier.close()
    assert bench.killed().get(A) is None


def test_concluding_writes_down_what_is_durable(bench: Bench) -> None:
    bench.tier.put(A, b"x")
    segment = bench.core.table.open
    assert segment is not None
    conclude(bench.core, bench.core.deadline(1))
    content = bench.disk.content(f"segment-{segment.number:05d}")
    mark = unpack(content, (segment.end_page - 1) * 4096)
    assert mark.kind == Kind.MARK
    assert mark.durable == bench.core.durable_sequence
    assert bench.core.table.open is None


def test_a_failed_flush_claims_nothing_new() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    assert store.tier.flush()
    claimed = store.core.durable_sequence
    store.tier.put(key_of(2), block(2))
    store.fail(Fault("error", "sync", nth=1))
    assert not store.tier.flush()
    assert store.core.durable_sequence == claimed
    assert store.counts.sync_errors == store.counts.flushes_failed == 1


def test_a_failed_sync_is_not_made_good_by_a_later_one() -> None:
    """Fsyncgate: the second sync says yes although the system threw the pages away."""
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    assert store.tier.flush()
    store.tier.put(key_of(2), block(2))
    store.fail(Fault("error", "sync", nth=1))
    assert not store.tier.flush()
    assert store.tier.flush()
    assert not store.tier.contains(key_of(2)), "nobody may count on it any more"
    assert store.counts.blocks_dropped == 1
    assert store.tier.put(key_of(2), block(2)), "it can be put again"
    assert store.counts.puts_unchanged == 0, "and is written again"
    assert store.tier.flush()
    for tier in store.after_power_loss(10):
        assert [tier.get(key_of(n)) for n in (1, 2)] == [block(1), block(2)]


@pytest.mark.parametrize("kind", ["error", "hang"])
def test_whichever_sync_fails_what_was_claimed_survives_and_nothing_else_is_claimed(
    kind: str,
) -> None:
    nth = 0
    while True:
        nth += 1
        store = open_faulty()
        store.fail(Fault(kind, "sync", nth=nth))  # type: ignore[arg-type]
        claimed: dict[int, bytes | None] = {}
        for number in range(18):
            if store.tier.put(key_of(number % 6), block(number % 6, number)):
                claimed.pop(number % 6, None)
            if number % 3 == 2 and store.tier.flush():
                claimed = {n: store.tier.get(key_of(n)) for n in range(6)}
        if not store.faults.injected:
            break
        given_up = store.counts.blocks_evicted + store.counts.blocks_forgotten
        for tier in store.after_power_loss(3, seed=nth):
            wrong = [n for n, value in claimed.items() if tier.get(key_of(n)) != value]
            assert len(wrong) <= given_up, (nth, wrong)
            answers = {n: tier.get(key_of(n)) for n in range(6)}
            versions = {n: {None, *(block(n, v) for v in range(n, 18, 6))} for n in range(6)}
            assert all(answers[n] in versions[n] for n in range(6)), nth
    assert nth > 5


def test_a_flush_of_nothing_new_syncs_nothing() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    assert store.tier.flush()
    calls = store.faults.calls.copy()
    assert store.tier.flush()
    assert store.faults.calls == calls


def test_a_failed_put_never_surfaces_after_a_flush() -> None:
    """The put's bytes are on the disk, whole, and yet it was refused."""
    store = open_faulty()
    store.tier.put(key_of(1), block(1, 0))
    store.fail(Fault("short", "write", nth=1, keep_bytes=3 * 4096))
    assert not store.tier.put(key_of(1), block(1, 1))
    assert store.tier.flush()
    for tier in (store.tier, store.killed(), *store.after_power_loss(10)):
        assert tier.get(key_of(1)) == block(1, 0)


def test_without_time_nothing_is_claimed() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    before = store.core.durable_sequence
    assert not flush(store.core, store.core.deadline(0))
    assert store.core.durable_sequence == before


def test_many_overwritten_frames_are_all_marked() -> None:
    config = replace(SMALL, segment_bytes=1 << 21, capacity_bytes=8 << 21, pool_bytes=1 << 22)
    store = open_faulty(config)
    for version in range(300):
        store.tier.put(key_of(1), b"%d" % version)
    assert store.tier.stats().strays == 299
    assert store.tier.flush()
    assert store.tier.stats().strays == 0
    # Even if the one that counts is damaged, none of the others comes back.
    name, offset = store.place(1)
    store.disk.rot(name, offset, bytes(256))
    assert store.killed().get(key_of(1)) is None


def test_a_flush_claims_exactly_what_was_written_before_it() -> None:
    store = open_faulty()
    store.tier.put(key_of(1), block(1))
    newest = store.core.next_sequence - 1
    assert store.tier.flush()
    assert store.core.durable_sequence == newest == store.entry(1).sequence
    store.tier.put(key_of(2), block(2))
    assert store.core.durable_sequence < store.entry(2).sequence
