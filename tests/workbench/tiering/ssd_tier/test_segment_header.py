"""A segment's header comes back, tells damage from another version, and fits one sector."""

import struct

import pytest

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.checksum import header_sum
from workbench.tiering.ssd_tier.errors import StoreVersionError
from workbench.tiering.ssd_tier.frame import BadFrameError
from workbench.tiering.ssd_tier.segment_header import SegmentHeader, Use, pack, unpack

HEADER = SegmentHeader(Use.USED, b"0123456789abcdef", 12, 4096, 77)


def resummed(raw: bytearray) -> bytes:
    raw[248:256] = struct.pack("<Q", header_sum(bytes(raw[:248])))
    return bytes(raw)


def test_it_comes_back() -> None:
    assert unpack(pack(HEADER), "segment-00012") == HEADER


def test_it_is_a_page_whose_first_sector_says_everything() -> None:
    raw = pack(HEADER)
    assert len(raw) == PAGE_BYTES
    assert not any(raw[256:])


def test_every_bit_is_seen() -> None:
    raw = bytearray(pack(HEADER))
    for bit in range(256 * 8):
        raw[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadFrameError):
            unpack(raw, "segment-00012")
        raw[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("version", [0, 2, 1000])
def test_another_version_is_named(version: int) -> None:
    raw = bytearray(pack(HEADER))
    struct.pack_into("<I", raw, 8, version)
    with pytest.raises(StoreVersionError, match=f"segment-00012: format version {version}") as told:
        unpack(resummed(raw), "segment-00012")
    assert (told.value.found, told.value.supported) == (version, 1)


def test_an_unknown_use_is_damage() -> None:
    raw = bytearray(pack(HEADER))
    struct.pack_into("<I", raw, 12, 9)
    with pytest.raises(BadFrameError, match="use 9"):
        unpack(resummed(raw), "segment-00012")
