"""Segment headers: the layout on disk, round trips, damage and other versions told apart."""

import random
import struct

import pytest
import xxhash

from tests.workbench.tiering.ssd_tier.bare_cores import bits_flipped, page_of
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.errors import StoreVersionError
from workbench.tiering.ssd_tier.frame import HEADER_BYTES, BadFrameError
from workbench.tiering.ssd_tier.segment_header import SegmentHeader, Use, pack, unpack

HEADER = SegmentHeader(
    use=Use.USED,
    store=b"0123456789abcdef",
    number=0x14131211,
    n_pages=0x2827262524232221,
    epoch=0x3837363534333231,
    sealed_as=b"keys' own number",
)
# Worked out by hand from the format, little-endian throughout; the sum comes behind.
BODY = bytes.fromhex(
    "57425345474d5400"  # "WBSEGMT\0"
    "01000000"  # version 1
    "02000000"  # used
    "30313233343536373839616263646566"  # store
    "11121314"  # number
    "00000000"  # nothing
    "2122232425262728"  # pages
    "3132333435363738"  # epoch
    "6b65797327206f776e206e756d626572"  # which keys
) + bytes(176)


def sealed(body: bytes) -> bytes:
    return page_of(body + struct.pack("<Q", xxhash.xxh3_64_intdigest(body)))


def test_the_layout_is_the_one_on_disk():
    assert len(BODY) == 248
    assert pack(HEADER) == sealed(BODY)


def test_a_plain_store_s_segments_name_no_keys():
    assert pack(SegmentHeader(*HEADER[:-1])) == sealed(BODY[:56] + bytes(192))


def test_a_header_fills_one_page():
    assert len(pack(HEADER)) == PAGE_BYTES
    assert not any(pack(HEADER)[HEADER_BYTES:])


def test_every_header_comes_back():
    rng = random.Random(1)
    for use in Use:
        for _ in range(200):
            numbers = rng.getrandbits(32), rng.getrandbits(64), rng.getrandbits(64)
            header = SegmentHeader(use, rng.randbytes(16), *numbers, rng.randbytes(16))
            assert unpack(pack(header), "segment-00000") == header


def test_every_flipped_bit_is_refused_and_none_taken_for_another_version():
    refused = 0
    for bit, changed in bits_flipped(pack(HEADER), HEADER_BYTES):
        with pytest.raises(BadFrameError, match="segment-00007"):
            unpack(changed, "segment-00007")
        refused = bit + 1
    assert refused == 2048


@pytest.mark.parametrize("raw", [bytes(PAGE_BYTES), b"\xff" * PAGE_BYTES])
def test_what_is_no_header_is_refused(raw):
    with pytest.raises(BadFrameError, match="no segment header"):
        unpack(raw, "segment-00000")


@pytest.mark.parametrize(
    ("version", "remedy"), [(0, "the version that wrote it"), (2, "update the workbench")]
)
def test_another_version_is_named_with_the_remedy(version, remedy):
    raw = sealed(BODY[:8] + struct.pack("<I", version) + BODY[12:])
    with pytest.raises(StoreVersionError, match=remedy) as caught:
        unpack(raw, "segment-00003")
    told = caught.value
    assert (told.file, told.found, told.supported) == ("segment-00003", version, 1)
    assert f"segment-00003: format version {version}" in str(told)


@pytest.mark.parametrize("use", [0, 3, 0xFFFFFFFF])
def test_an_unknown_use_is_refused_though_its_sum_is_right(use):
    raw = sealed(BODY[:12] + struct.pack("<I", use) + BODY[16:])
    with pytest.raises(BadFrameError, match="use"):
        unpack(raw, "segment-00000")


def test_lives_of_one_segment_differ_on_disk():
    pages = {pack(HEADER._replace(epoch=epoch, use=use)) for epoch in range(10) for use in Use}
    assert len(pages) == 20
