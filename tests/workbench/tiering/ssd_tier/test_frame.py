"""A header comes back as it went, and not at all when a bit of it is wrong."""

import struct

import pytest

from tests.torture.rot import every_bit, frame_in_memory
from workbench.errors import UsageError
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier import frame
from workbench.tiering.ssd_tier.frame import Attributes, BadFrameError, Header, Kind


def header() -> Header:
    return Header(
        Kind.BLOCK,
        7,
        b"s" * 16,
        3,
        17,
        5,
        1234,
        1200,
        b"k" * 32,
        b"f" * 32,
        b"t" * 16,
        99,
        4097,
        b"c" * 16,
    )


def test_a_header_comes_back() -> None:
    assert frame.unpack(frame.pack(header())) == header()
    assert header().n_pages() == 3
    assert header().attributes() == Attributes(b"f" * 32, b"t" * 16, 7, 99)


def test_fields_lie_where_the_documentation_says() -> None:
    raw = frame.pack(header())
    assert len(raw) == 256
    assert raw[:8] == frame.MAGIC
    assert struct.unpack_from("<IHH", raw, 8) == (1, 1, 7)
    assert raw[16:32] == b"s" * 16
    assert struct.unpack_from("<IIQQQ", raw, 32) == (3, 17, 5, 1234, 1200)
    assert raw[64:96] + raw[96:128] + raw[128:144] == b"k" * 32 + b"f" * 32 + b"t" * 16
    assert struct.unpack_from("<QQ", raw, 144) == (99, 4097)
    assert raw[160:176] == b"c" * 16
    assert raw[176:248] == bytes(72)


def test_a_page_carries_nothing_of_the_buffers_past() -> None:
    page = memoryview(bytearray(b"\xff" * PAGE_BYTES))
    frame.write_header(page, header())
    assert page[256:] == bytes(PAGE_BYTES - 256)


def test_every_bit_of_the_header_page_is_seen_or_means_nothing() -> None:
    page = bytearray(frame.pack(header()).ljust(PAGE_BYTES, b"\0"))
    for bit in range(PAGE_BYTES * 8):
        page[bit // 8] ^= 1 << bit % 8
        if bit < 256 * 8:
            with pytest.raises(BadFrameError):
                frame.unpack(page)
        elif bit % 97 == 0:
            assert frame.unpack(page) == header()
        page[bit // 8] ^= 1 << bit % 8


def test_bitrot_is_miss_for_every_bit_of_a_block() -> None:
    # R13: one bit in each byte here, all eight in the torture run.
    n_bits, unseen = every_bit(step=8)
    assert n_bits == 256 + 16384
    assert unseen == 0


def test_another_version_is_no_frame() -> None:
    raw = bytearray(frame.pack(header()))
    raw[8] = 2
    raw[248:] = struct.pack("<Q", frame.header_sum(bytes(raw[:248])))
    with pytest.raises(BadFrameError, match="damaged"):
        frame.unpack(raw)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fingerprint": b"short"},
        {"tenant": b"short"},
        {"codec": 65536},
        {"codec": -1},
        {"plain_bytes": -1},
    ],
)
def test_attributes_that_do_not_fit_are_refused(wrong: dict[str, int | bytes]) -> None:
    with pytest.raises(UsageError, match="fit"):
        Attributes(**wrong)  # type: ignore[arg-type]


def test_attributes_are_told_apart() -> None:
    kinds = [
        Attributes(),
        Attributes(b"f" * 32),
        Attributes(tenant=b"t" * 16),
        Attributes(codec=1),
        Attributes(plain_bytes=11),
    ]
    assert len({frame.attributes_sum(one, 10) for one in kinds}) == 5
    assert frame.attributes_sum(Attributes(), 10) == frame.attributes_sum(
        Attributes(plain_bytes=10), 10
    )


def test_pages_are_counted_up() -> None:
    assert [frame.frame_pages(n) for n in (0, 1, 4096, 4097)] == [1, 2, 2, 3]


def test_the_frame_in_memory_is_whole() -> None:
    landing, entry = frame_in_memory(5000)
    assert frame.unpack(landing.pages).checksum == entry.checksum
