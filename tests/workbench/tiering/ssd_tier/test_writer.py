"""Frames are appended in order; one whose write failed leaves a hole and is never seen."""

from __future__ import annotations

import pytest

from tests.torture.model import key_of
from tests.torture.stores import SEGMENT_PAGES
from tests.workbench.tiering.ssd_tier.faulty_store import UUID, FaultyStore, block, open_faulty
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.drafts import Draft, draft_block, draft_tombstone
from workbench.tiering.ssd_tier.frame import Attributes, Kind, attributes_sum, unpack
from workbench.tiering.ssd_tier.index import EVER_READ, Entry
from workbench.tiering.ssd_tier.layout import segment_name
from workbench.tiering.ssd_tier.rooms import open_next
from workbench.tiering.ssd_tier.writer import append, condemn, stray_of

ATTRIBUTES = Attributes(b"f" * 32, b"t" * 16, 7, 12345)


def ready() -> FaultyStore:
    """Return a store whose open segment is empty."""
    store = open_faulty()
    assert open_next(store.core, store.core.deadline(1))
    return store


def drafted(store: FaultyStore, number: int, n_bytes: int = 5000) -> Draft:
    value = memoryview(block(number, 0, n_bytes))
    return draft_block(store.core.pool, key_of(number), value, payload_sum(value), ATTRIBUTES)


def appended(store: FaultyStore, drafts: list[Draft]) -> list[Entry | None]:
    return append(store.core, drafts, store.core.deadline(1))


def test_a_frame_lies_where_its_entry_says_and_says_so_itself() -> None:
    store = ready()
    (entry,) = appended(store, [drafted(store, 1)])
    assert entry is not None
    content = store.disk.content(segment_name(entry.segment))
    header = unpack(content, entry.page * PAGE_BYTES)
    assert (header.kind, header.store, header.key) == (Kind.BLOCK, UUID, key_of(1))
    assert (header.segment, header.page) == (entry.segment, entry.page)
    assert header.epoch == store.core.table[entry.segment].epoch
    assert (header.sequence, header.checksum) == (entry.sequence, entry.checksum)
    assert header.attributes() == ATTRIBUTES
    assert entry.attributes == attributes_sum(ATTRIBUTES, 5000)
    start = (entry.page + 1) * PAGE_BYTES
    assert content[start : start + 5000] == block(1)
    assert content[start + 5000 : start + 2 * PAGE_BYTES] == bytes(2 * PAGE_BYTES - 5000)


def test_frames_follow_each_other_without_gaps_and_with_rising_numbers() -> None:
    store = ready()
    entries = appended(store, [drafted(store, n, n * 1500) for n in range(4)])
    assert None not in entries
    known = [entry for entry in entries if entry is not None]
    page = 1
    for entry in known:
        assert entry.page == page
        page += entry.n_bytes // PAGE_BYTES
    assert store.core.table[known[0].segment].end_page == page
    sequences = [entry.sequence for entry in known]
    assert sequences == sorted(set(sequences))


def test_the_index_is_left_to_the_caller() -> None:
    store = ready()
    appended(store, [drafted(store, 1)])
    assert len(store.core.index) == 0


def test_fewer_answers_than_drafts_when_the_segment_is_full() -> None:
    store = ready()
    drafts = [drafted(store, n) for n in range(8)]
    entries = appended(store, drafts)
    # Between the two headers there are 14 pages: four frames of three.
    assert len(entries) == (SEGMENT_PAGES - 2) // 3
    assert appended(store, drafts[4:]) == []
    (small,) = appended(store, [draft_tombstone(store.core.pool, key_of(1))])
    assert small is not None, "what is smaller still fits"
    name = segment_name(small.segment)
    assert store.disk.size(name) == SEGMENT_PAGES * PAGE_BYTES, "the file never grows"


def test_nothing_is_written_where_no_segment_is_open() -> None:
    store = open_faulty()
    writes = store.faults.calls["write"]
    assert appended(store, [drafted(store, 1)]) == []
    assert store.faults.calls["write"] == writes


@pytest.mark.parametrize("kind", ["error", "short", "hang"])
def test_a_failed_frame_leaves_a_hole_and_waits_to_be_marked_dead(kind: str) -> None:
    store = ready()
    store.fail(Fault(kind, "write", nth=2))  # type: ignore[arg-type]
    first, second, third = appended(store, [drafted(store, n) for n in range(3)])
    assert second is None
    assert first is not None
    assert third is not None
    assert third.page == first.page + 6, "nothing is written into the hole"
    assert store.core.health.read_only is False
    (stray,) = store.core.strays.pending()
    assert (stray.key, stray.page, stray.promised) == (key_of(1), first.page + 3, False)
    assert stray.hung == (kind == "hang")
    assert store.core.table[first.segment].hung == (kind == "hang")


def test_a_frame_carries_what_was_durable_before_it() -> None:
    store = ready()
    appended(store, [drafted(store, 1)])
    assert store.tier.flush()
    (entry,) = appended(store, [drafted(store, 2)])
    assert entry is not None
    header = unpack(store.disk.content(segment_name(entry.segment)), entry.page * PAGE_BYTES)
    assert header.durable == store.core.durable_sequence
    assert header.durable < entry.sequence


def test_flags_of_a_draft_reach_the_entry() -> None:
    store = ready()
    draft = drafted(store, 1)
    draft.flags = EVER_READ
    (entry,) = appended(store, [draft])
    assert entry is not None
    assert entry.flags == EVER_READ


def test_a_condemned_frame_is_marked_dead_by_the_next_flush() -> None:
    store = ready()
    (entry,) = appended(store, [drafted(store, 1)])
    assert entry is not None
    condemn(store.core, key_of(1), None)
    assert len(store.core.strays) == 0
    condemn(store.core, key_of(1), entry)
    assert store.core.strays.pending() == [stray_of(store.core, key_of(1), entry)]
    assert store.tier.flush()
    content = store.disk.content(segment_name(entry.segment))
    assert unpack(content, entry.page * PAGE_BYTES).kind == Kind.DEAD
    assert len(store.core.strays) == 0
