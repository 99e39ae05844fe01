"""What was flushed survives; what a failed sync left in doubt is claimed by nobody."""

import numpy as np

from tests.torture.stores import open_small
from tests.workbench.tiering.ssd_tier.conftest import Bench
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.ssd_tier.durability import conclude
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
