"""Snapshots: the layout on disk, round trips, and refusal of every damaged byte."""

import random
import struct

import numpy as np
import pytest
import xxhash

from tests.workbench.tiering.ssd_tier.bare_cores import (
    STORE,
    bits_flipped,
    entry_of,
    key_of,
    page_of,
)
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.errors import StoreVersionError
from workbench.tiering.ssd_tier.frame import HEADER_BYTES, BadFrameError
from workbench.tiering.ssd_tier.index import Index
from workbench.tiering.ssd_tier.layout import snapshot_bytes
from workbench.tiering.ssd_tier.segments import State
from workbench.tiering.ssd_tier.snapshot import (
    SEGMENT_ROW_DTYPE,
    SnapshotHeader,
    decode,
    decode_header,
    encode,
)


def index_of(n_blocks: int, n_segments: int = 5) -> Index:
    index = Index(max(1, n_blocks), n_segments)
    for n in range(n_blocks):
        index.put(key_of(n), entry_of(n + 1, n % n_segments, 1 + n, 4096 * n % 9999, n % 4))
    return index


def segments_of(n_segments: int = 5) -> np.ndarray:
    rows = np.zeros(n_segments, SEGMENT_ROW_DTYPE)
    states = [state.value for state in State]
    for n in range(n_segments):
        rows[n] = (1000 + n, 1 + n, states[n % len(states)], 0)
    return rows


def encoded(n_blocks: int, n_segments: int = 5) -> tuple[bytearray, bytearray]:
    """Return the header's page and the tables, both written over a buffer with a past."""
    page = bytearray(b"\xee" * PAGE_BYTES)
    tables = bytearray(b"\xee" * (snapshot_bytes(n_segments, n_blocks) - PAGE_BYTES))
    header = SnapshotHeader(STORE, n_segments, 16, n_blocks, 777, 555, bytes(16))
    rows = index_of(n_blocks, n_segments).dump()
    encode(memoryview(page), memoryview(tables), header, segments_of(n_segments), rows)
    return page, tables


def resummed(page: bytearray, tables: bytearray) -> SnapshotHeader:
    """Return a header whose sum of the tables is right, whatever they say."""
    sum_at = 64
    page[sum_at : sum_at + 16] = xxhash.xxh3_128_digest(tables)
    page[248:256] = struct.pack("<Q", xxhash.xxh3_64_intdigest(page[:248]))
    return decode_header(memoryview(page))


@pytest.mark.parametrize("n_blocks", [0, 1, 50, 51, 52, 103, 400])
def test_everything_comes_back(n_blocks):
    page, tables = encoded(n_blocks)
    header = decode_header(memoryview(page))
    assert (header.store, header.n_segments, header.segment_pages) == (STORE, 5, 16)
    assert (header.n_blocks, header.next_sequence, header.durable_sequence) == (n_blocks, 777, 555)
    assert header.n_bytes == len(page) + len(tables) == snapshot_bytes(5, n_blocks)
    snapshot = decode(header, memoryview(tables))
    assert snapshot.segments.tolist() == segments_of().tolist()
    index, again = index_of(n_blocks), Index(400, 5)
    again.load(snapshot.blocks)
    again.check()
    keys = [key_of(n) for n in range(n_blocks)]
    assert again.get_many(keys) == index.get_many(keys)
    assert len(again) == n_blocks


def test_the_header_s_layout_is_the_one_on_disk():
    page, tables = encoded(3)
    # Worked out by hand from the format, little-endian throughout.
    body = (
        bytes.fromhex(
            "5742494e44455800"  # "WBINDEX\0"
            "01000000"  # version 1
            "00000000"  # nothing
            "30313233343536373839616263646566"  # store
            "05000000"  # segments
            "10000000"  # pages of a segment
            "0300000000000000"  # blocks
            "0903000000000000"  # next sequence, 777
            "2b02000000000000"  # durable sequence, 555
        )
        + xxhash.xxh3_128_digest(tables)
        + bytes(168)
    )
    assert len(body) == HEADER_BYTES - 8 == 248
    assert bytes(page) == page_of(body + struct.pack("<Q", xxhash.xxh3_64_intdigest(body)))


def test_the_tables_lie_each_on_pages_of_its_own_with_zeros_behind():
    _, tables = encoded(2)
    assert len(tables) == 2 * PAGE_BYTES
    # Segment 0: epoch 1000, ends at page 1, free.
    assert tables[:24] == bytes.fromhex("e803000000000000 01000000 01000000 0000000000000000")
    assert not any(tables[5 * 24 : PAGE_BYTES])
    assert tables[PAGE_BYTES : PAGE_BYTES + 32] == key_of(0)
    assert tables[PAGE_BYTES + 80 : PAGE_BYTES + 112] == key_of(1)
    assert not any(tables[PAGE_BYTES + 160 :])


def test_every_flipped_bit_of_the_header_is_refused():
    page, _ = encoded(3)
    refused = 0
    for bit, changed in bits_flipped(page, HEADER_BYTES):
        with pytest.raises(BadFrameError):
            decode_header(memoryview(changed))
        refused = bit + 1
    assert refused == 2048


@pytest.mark.parametrize("change", [0x01, 0xFF, "zero"])
def test_every_changed_byte_of_the_tables_is_refused_padding_included(change):
    page, tables = encoded(20)
    header = decode_header(memoryview(page))
    for at in range(len(tables)):
        was = tables[at]
        tables[at] = 0 if change == "zero" else was ^ change
        if tables[at] != was:
            with pytest.raises(BadFrameError, match="tables are damaged"):
                decode(header, memoryview(tables))
        tables[at] = was
    assert len(decode(header, memoryview(tables)).blocks) == 20


def test_tables_that_were_cut_or_lengthened_are_refused():
    page, tables = encoded(20)
    header = decode_header(memoryview(page))
    for n_bytes in range(0, len(tables), 512):
        with pytest.raises(BadFrameError):
            decode(header, memoryview(tables)[:n_bytes])
    with pytest.raises(BadFrameError):
        decode(header, memoryview(tables + bytes(512)))


def test_tables_of_another_snapshot_are_refused():
    header = decode_header(memoryview(encoded(20)[0]))
    other = encoded(21)[1]
    assert len(other) == len(encoded(20)[1])
    with pytest.raises(BadFrameError):
        decode(header, memoryview(other))


@pytest.mark.parametrize("raw", [bytes(PAGE_BYTES), b"\xff" * PAGE_BYTES, b"WBINDEX\0".ljust(4096)])
def test_what_is_no_snapshot_is_refused(raw):
    with pytest.raises(BadFrameError, match="no snapshot"):
        decode_header(memoryview(raw))


@pytest.mark.parametrize("version", [0, 2, 0xFFFFFFFF])
def test_a_whole_header_of_another_version_is_named(version):
    page, tables = encoded(3)
    page[8:12] = struct.pack("<I", version)
    with pytest.raises(StoreVersionError, match=f"index: format version {version}"):
        resummed(page, tables)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (PAGE_BYTES + 32, struct.pack("<I", 5), "lies in no segment"),
        (PAGE_BYTES + 32, b"\xff" * 4, "lies in no segment"),
        (PAGE_BYTES + 48, bytes(8), "lies in no segment"),  # sequence 0
        (12, struct.pack("<I", 0), "state is unknown"),
        (12, struct.pack("<I", 5), "state is unknown"),
    ],
)
def test_values_that_cannot_be_are_refused_though_the_sums_are_right(place, value, told):
    page, tables = encoded(3)
    tables[place : place + len(value)] = value
    with pytest.raises(BadFrameError, match=told):
        decode(resummed(page, tables), memoryview(tables))


def test_random_snapshots_come_back():
    rng = random.Random(4)
    for _ in range(30):
        n_segments, n_blocks = rng.randrange(3, 400), rng.randrange(200)
        page, tables = encoded(n_blocks, n_segments)
        snapshot = decode(decode_header(memoryview(page)), memoryview(tables))
        assert len(snapshot.segments) == n_segments
        assert snapshot.blocks.tobytes() == index_of(n_blocks, n_segments).dump().tobytes()
