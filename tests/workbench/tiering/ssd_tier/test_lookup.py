"""Every lookup is a verified hit or a counted miss; what cannot be loaded is not asked again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.torture.model import key_of
from tests.torture.stores import SMALL
from tests.workbench.tiering.ssd_tier.faulty_store import FaultyStore, block, open_faulty
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import DEFAULT_DEADLINE_S, Completion, OnWhole, Request
from workbench.tiering.async_io.fault_io import FaultIO
from workbench.tiering.async_io.faults import Fault, Faults
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import Attributes, SsdTier, reading
from workbench.tiering.ssd_tier.counters import Counts


def misses_by_cause(counts: Counts) -> dict[str, int]:
    """Return the causes that were counted."""
    names = ("absent", "damaged", "failed", "late", "refused", "foreign")
    causes = {name: getattr(counts, f"misses_{name}") for name in names}
    assert sum(causes.values()) == counts.misses
    assert counts.hits + counts.misses == counts.lookups
    return {name: n for name, n in causes.items() if n}


def stored(*numbers: int) -> FaultyStore:
    """Return a store that has some blocks."""
    store = open_faulty()
    for number in numbers:
        assert store.tier.put(key_of(number), block(number))
    return store


READ_FAULTS = {
    "EIO": (Fault("error", "read", nth=1), "failed"),
    "short read": (Fault("short", "read", nth=1), "failed"),
    "hang": (Fault("hang", "read", nth=1), "late"),
    "stale": (Fault("stale", "read", nth=1), "late"),
    "bit flip in the payload": (Fault("flip", "read", nth=1, bit=8 * 4096 + 77), "damaged"),
    "bit flip in the header": (Fault("flip", "read", nth=1, bit=8 * 100), "damaged"),
    "misdirected read": (Fault("misdirect", "read", nth=1), "damaged"),
}


@pytest.mark.parametrize(("rule", "cause"), READ_FAULTS.values(), ids=READ_FAULTS)
def test_a_block_that_cannot_be_loaded_is_a_miss_and_leaves_the_index(
    rule: Fault, cause: str
) -> None:
    store = stored(1, 2)
    store.fail(rule)
    assert store.tier.get(key_of(1)) is None
    assert misses_by_cause(store.counts) == {cause: 1}
    assert store.counts.blocks_forgotten == 1
    assert not store.tier.contains(key_of(1))
    reads = store.n_reads()
    assert store.tier.get(key_of(1)) is None
    assert store.n_reads() == reads, "nobody asks the device again and again"
    assert store.tier.get(key_of(2)) == block(2), "the others are served"
    assert store.tier.put(key_of(1), block(1)), "and it can be put again"
    assert store.tier.get(key_of(1)) == block(1)
    store.engine.release()
    assert store.tier.check().sound


WRITE_FAULTS = {
    "phantom write": Fault("drop", "write", nth=1),
    "misdirected write": Fault("misdirect", "write", nth=1),
    "torn write": Fault("torn", "write", nth=1, keep_bytes=4096 + 512),
    "bit flip on the way": Fault("flip", "write", nth=1, bit=8 * 4096 + 5),
}


@pytest.mark.parametrize("rule", WRITE_FAULTS.values(), ids=WRITE_FAULTS)
def test_a_write_that_lied_is_a_miss_never_wrong_bytes(rule: Fault) -> None:
    store = stored(1)
    store.tier.flush()
    store.fail(rule)
    assert store.tier.put(key_of(1), block(1, 1)), "it was acknowledged"
    assert store.tier.get(key_of(1)) is None
    assert misses_by_cause(store.counts) == {"damaged": 1}


def test_a_misdirected_write_swaps_no_blocks() -> None:
    store = stored(1)
    store.fail(Fault("misdirect", "write", nth=1, shift_bytes=-3 * 4096))
    assert store.tier.put(key_of(2), block(2)), "its bytes landed on the first one's"
    assert store.tier.get_many([key_of(1), key_of(2)]) == [None, None]
    assert misses_by_cause(store.counts) == {"damaged": 2}


def test_a_file_that_was_cut_gives_misses() -> None:
    store = stored(1, 2)
    name, offset = store.place(2)
    store.disk.truncate(name, offset + 4096)
    assert store.tier.get_many([key_of(1), key_of(2)]) == [block(1), None]
    assert misses_by_cause(store.counts) == {"failed": 1}


def test_a_hung_lookup_ends_at_its_deadline_and_its_buffer_stays_pinned() -> None:
    store = stored(1, 2)
    store.fail(Fault("hang", "read", nth=1))
    start_ns = store.clock.now_ns()
    assert store.tier.get(key_of(1)) is None
    assert store.clock.now_ns() - start_ns == round(SMALL.read_deadline_s * 1e9)
    assert store.engine.stats().pinned_buffers == 1
    assert store.core.pool.lent_bytes() > 0, "the device may still write there"
    # Every buffer that is lent now must stay as it is when the late answer comes.
    lent = [store.core.pool.lease(3 * 4096) for _ in range(20)]
    for view in lent:
        view[:] = b"\x55" * view.nbytes
    (frame,) = store.tier.get_many([key_of(2)])
    store.engine.release()
    assert all(bytes(view) == b"\x55" * view.nbytes for view in lent)
    assert frame == block(2)
    assert store.engine.stats().pinned_buffers == 0
    del lent, frame, view
    assert store.core.pool.lent_bytes() == 0, "and then it may be lent again"


def test_a_batch_with_one_hung_block_gives_the_others() -> None:
    store = stored(0, 1, 2, 3)
    store.fail(Fault("hang", "read", nth=2))
    keys = [key_of(number) for number in range(4)]
    answers = store.tier.get_many(keys)
    assert sorted(value is None for value in answers) == [False, False, False, True]
    right = [value in (None, block(n)) for n, value in enumerate(answers)]
    assert all(right)
    assert store.clock.now_ns() == round(SMALL.read_deadline_s * 1e9)


def test_answers_come_in_the_order_of_the_keys_also_for_repeated_ones() -> None:
    store = stored(1, 2, 3)
    keys = [key_of(number) for number in (3, 9, 1, 3)]
    assert store.tier.get_many(keys) == [block(3), None, block(1), block(3)]
    assert misses_by_cause(store.counts) == {"absent": 1}
    assert store.counts.hit_bytes == 15000
    assert store.tier.get_many([]) == []


def test_hits_are_marked_as_read_and_misses_are_not() -> None:
    store = stored(1, 2)
    assert store.tier.stats().blocks_unread == 2
    store.tier.get(key_of(1))
    store.tier.get(key_of(9))
    assert store.tier.stats().blocks_unread == 1
    assert store.entry(1).accessed
    assert not store.entry(2).accessed


@pytest.mark.parametrize(
    "asked",
    [
        Attributes(fingerprint=b"g" * 32, tenant=b"t" * 16, codec=3),
        Attributes(fingerprint=b"f" * 32, tenant=b"u" * 16, codec=3),
        Attributes(fingerprint=b"f" * 32, tenant=b"t" * 16, codec=4),
    ],
    ids=["fingerprint", "tenant", "codec"],
)
def test_what_was_stored_with_other_attributes_is_a_miss_and_stays(asked: Attributes) -> None:
    store = open_faulty()
    theirs = Attributes(fingerprint=b"f" * 32, tenant=b"t" * 16, codec=3, plain_bytes=9)
    store.tier.put(key_of(1), block(1), theirs)
    assert store.tier.get_many([key_of(1)], attributes=asked) == [None]
    assert misses_by_cause(store.counts) == {"foreign": 1}
    asked_right = replace(theirs, plain_bytes=None)
    assert store.tier.get_many([key_of(1)], attributes=asked_right) == [block(1)]


def test_a_closed_store_misses() -> None:
    store = stored(1)
    store.tier.close()
    assert store.tier.get(key_of(1)) is None
    assert misses_by_cause(store.counts) == {"refused": 1}


class BusyIO(FaultIO):
    """An engine before whose next read something else happens, as another thread would do it."""

    def __init__(self, disk: SimDisk, clock: VirtualClock) -> None:
        super().__init__(disk, Faults(), clock)
        self.meanwhile: list[Callable[[], object]] = []
        self._interrupted = False

    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        if self.meanwhile and batch[0].op == "read" and not self._interrupted:
            # What happens meanwhile reads too, and is not interrupted itself.
            self._interrupted = True
            self.meanwhile.pop(0)()
            self._interrupted = False
        return super().submit(batch, deadline_s, on_whole)


def busy_store() -> tuple[BusyIO, SsdTier]:
    clock = VirtualClock()
    disk = SimDisk(clock=clock)
    engine = BusyIO(disk, clock)
    tier = SsdTier.open(disk, SMALL, engine, clock=clock)
    assert tier.put(key_of(1), block(1))
    return engine, tier


def test_a_block_that_is_overwritten_meanwhile_is_looked_up_again() -> None:
    engine, tier = busy_store()

    def overwrite() -> None:
        assert tier.put(key_of(1), block(1, 1))
        assert tier.flush(), "the old frame's header is dead now"

    engine.meanwhile.append(overwrite)
    assert tier.get(key_of(1)) == block(1, 1)
    counts = tier.stats().counts
    assert (counts.lookups, counts.hits, counts.blocks_forgotten) == (1, 1, 0)


def test_a_block_that_is_deleted_meanwhile_is_absent() -> None:
    engine, tier = busy_store()

    def delete() -> None:
        assert tier.delete(key_of(1))
        assert tier.flush()

    engine.meanwhile.append(delete)
    assert tier.get(key_of(1)) is None
    assert misses_by_cause(tier.stats().counts) == {"absent": 1}


def test_a_block_that_never_stands_still_is_a_miss_in_the_end() -> None:
    engine, tier = busy_store()

    def overwrite(version: int) -> None:
        assert tier.put(key_of(1), block(1, version))
        assert tier.flush()

    for version in range(1, 10):
        engine.meanwhile.append(functools.partial(overwrite, version))
    assert tier.get(key_of(1)) is None
    assert misses_by_cause(tier.stats().counts) == {"damaged": 1}
    engine.meanwhile.clear()
    assert tier.get(key_of(1)) == block(1, 3), "three attempts; the newest block is still there"


@pytest.mark.parametrize(
    ("absent", "foreign", "most"), [(None, None, 6), (2, None, 2), (0, None, 0), (None, 3, 3)]
)
def test_hits_are_told_in_order_up_to_the_first_miss(
    monkeypatch: pytest.MonkeyPatch, absent: int | None, foreign: int | None, most: int
) -> None:
    monkeypatch.setattr(reading, "_SHARED_BYTES", 1)
    store, mine = open_faulty(), Attributes(codec=7)
    for number in range(6):
        attributes = Attributes(codec=8) if number == foreign else mine
        if number != absent:
            assert store.tier.put(key_of(number), block(number), attributes)
    told: list[tuple[int, bytes]] = []
    keys = [key_of(number) for number in range(6)]
    found = store.tier.get_many(keys, None, mine, lambda n, view: told.append((n, bytes(view))))
    assert [view is not None for view in found] == [n not in (absent, foreign) for n in range(6)]
    assert told == [(number + 1, block(number)) for number in range(most)]
