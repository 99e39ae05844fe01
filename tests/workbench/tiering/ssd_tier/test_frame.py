"""Frames: the layout on disk byte by byte, round trips, and refusal of every damaged header."""

import random
import struct

import pytest
import xxhash

from tests.torture.ledger import Count
from tests.torture.rot import every_bit, frame_in_memory
from tests.workbench.tiering.ssd_tier.bare_cores import bits_flipped
from workbench.errors import UsageError
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.frame import (
    FORMAT_VERSION,
    HEADER_BYTES,
    Attributes,
    BadFrameError,
    Header,
    Kind,
    attributes_sum,
    bound_fields,
    frame_pages,
    pack,
    payload_pages,
    unpack,
    write_header,
)

HEADER = Header(
    kind=Kind.BLOCK,
    codec=0x0201,
    store=b"0123456789abcdef",
    segment=0x14131211,
    page=0x24232221,
    epoch=0x3837363534333231,
    sequence=0x4847464544434241,
    durable=0x5857565554535251,
    key=bytes(range(0x60, 0x80)),
    fingerprint=bytes(range(0x80, 0xA0)),
    tenant=bytes(range(0xA0, 0xB0)),
    plain_bytes=0xB8B7B6B5B4B3B2B1,
    stored_bytes=5000,
    checksum=bytes(range(0xC0, 0xD0)),
    content=bytes(range(0xD0, 0xE0)),
    seal=bytes(range(0x10, 0x48)),
)
# Worked out by hand from the format, little-endian throughout; the sum comes behind.
BODY = bytes.fromhex(
    "574246 52414d45 00"  # "WBFRAME\0"
    "01000000"  # version 1
    "0100"  # a block
    "0102"  # codec
    "30313233343536373839616263646566"  # store
    "11121314 21222324"  # segment, page
    "3132333435363738"  # epoch
    "4142434445464748"  # sequence
    "5152535455565758"  # durable
    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"  # key
    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"  # fingerprint
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"  # tenant
    "b1b2b3b4b5b6b7b8"  # plain bytes
    "8813000000000000"  # stored bytes
    "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"  # the payload's sum
    "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"  # what recognises its plain bytes
    "101112131415161718191a1b1c1d1e1f202122232425262728292a2b"  # how it is sealed
    "2c2d2e2f303132333435363738393a3b3c3d3e3f4041424344454647"
)


def sealed(body: bytes) -> bytes:
    """Return a header whose sum is right, whatever it says."""
    return body + struct.pack("<Q", xxhash.xxh3_64_intdigest(body))


def random_header(rng: random.Random) -> Header:
    return Header(
        kind=rng.choice(list(Kind)),
        codec=rng.getrandbits(16),
        store=rng.randbytes(16),
        segment=rng.getrandbits(32),
        page=rng.getrandbits(32),
        epoch=rng.getrandbits(64),
        sequence=rng.getrandbits(64),
        durable=rng.getrandbits(64),
        key=rng.randbytes(32),
        fingerprint=rng.randbytes(32),
        tenant=rng.randbytes(16),
        plain_bytes=rng.getrandbits(64),
        stored_bytes=rng.getrandbits(64),
        checksum=rng.randbytes(16),
        content=rng.randbytes(16),
        seal=rng.randbytes(56),
    )


def test_the_layout_is_the_one_on_disk():
    assert len(BODY) == HEADER_BYTES - 8 == 248
    assert pack(HEADER) == sealed(BODY)


def test_a_plain_frame_has_zeros_where_a_sealed_one_says_how():
    plain = Header(*HEADER[:-2])
    assert pack(plain) == sealed(BODY[:176] + bytes(72))


def test_what_is_bound_is_all_in_front_of_the_sum():
    assert bound_fields(HEADER) == BODY[:160]
    assert bound_fields(HEADER._replace(checksum=bytes(16), seal=bytes(56))) == BODY[:160]


def test_every_header_comes_back():
    rng = random.Random(1)
    for _ in range(500):
        header = random_header(rng)
        assert unpack(pack(header)) == header


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_number(kind):
    raw = pack(HEADER._replace(kind=kind))
    assert struct.unpack_from("<H", raw, 12) == (kind.value,)
    assert unpack(raw).kind is kind


def test_a_header_is_read_where_it_lies():
    raw = b"\xff" * 4096 + pack(HEADER) + b"\xff" * 100
    assert unpack(raw, 4096) == HEADER
    assert unpack(memoryview(raw), 4096) == HEADER
    with pytest.raises(BadFrameError, match="no frame"):
        unpack(raw)


def test_every_flipped_bit_is_refused():
    refused = 0
    for bit, changed in bits_flipped(pack(HEADER), HEADER_BYTES):
        with pytest.raises(BadFrameError):
            unpack(changed)
        refused = bit + 1
    assert refused == 2048


def test_bits_behind_the_header_mean_nothing():
    for bit in range(HEADER_BYTES * 8, PAGE_BYTES * 8, 97):
        page = bytearray(pack(HEADER).ljust(PAGE_BYTES, b"\0"))
        page[bit // 8] ^= 1 << bit % 8
        assert unpack(page) == HEADER


def test_bitrot_is_miss_for_every_bit_of_a_block():
    # R13: one bit in each byte here, all eight in the torture run.
    count = Count.of(every_bit(step=8))
    assert count.runs == 256 + 16384
    assert count.told == ()


def test_the_frame_in_memory_is_whole():
    landing, entry = frame_in_memory(5000)
    assert unpack(landing.pages).checksum == entry.checksum


@pytest.mark.parametrize("torn_at", range(8, HEADER_BYTES, 8))
def test_a_torn_header_is_refused(torn_at):
    newer = pack(HEADER._replace(sequence=1, epoch=1, key=bytes(32), stored_bytes=1, plain_bytes=7))
    torn = newer[:torn_at] + pack(HEADER)[torn_at:]
    if torn in (newer, pack(HEADER)):
        assert unpack(torn) == HEADER
    else:
        with pytest.raises(BadFrameError):
            unpack(torn)


def test_zeros_and_noise_are_no_frames():
    rng = random.Random(3)
    for raw in (bytes(HEADER_BYTES), b"\xff" * HEADER_BYTES, rng.randbytes(HEADER_BYTES)):
        with pytest.raises(BadFrameError, match="no frame"):
            unpack(raw)


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, 0xFFFFFFFF])
def test_another_version_is_refused_though_its_sum_is_right(version):
    body = BODY[:8] + struct.pack("<I", version) + BODY[12:]
    with pytest.raises(BadFrameError):
        unpack(sealed(body))


@pytest.mark.parametrize("kind", [0, 5, 0xFFFF])
def test_an_unknown_kind_is_refused_though_its_sum_is_right(kind):
    body = BODY[:12] + struct.pack("<H", kind) + BODY[14:]
    with pytest.raises(BadFrameError):
        unpack(sealed(body))


def test_a_written_page_holds_nothing_of_the_past():
    page = memoryview(bytearray(b"secret!!" * (PAGE_BYTES // 8)))
    write_header(page, HEADER)
    assert bytes(page) == sealed(BODY) + bytes(PAGE_BYTES - HEADER_BYTES)


@pytest.mark.parametrize(
    ("stored_bytes", "pages"),
    [(0, 1), (1, 2), (4095, 2), (4096, 2), (4097, 3), (8192, 3), (2 << 20, 513)],
)
def test_a_frame_is_a_page_and_its_payload_s_pages(stored_bytes, pages):
    assert frame_pages(stored_bytes) == pages
    assert payload_pages(stored_bytes) == pages - 1
    assert HEADER._replace(stored_bytes=stored_bytes).n_pages() == pages


def test_a_header_gives_back_what_was_said_about_the_block():
    said = Attributes(b"f" * 32, b"t" * 16, 7, 12345)
    header = HEADER._replace(
        fingerprint=said.fingerprint, tenant=said.tenant, codec=7, plain_bytes=12345
    )
    assert unpack(pack(header)).attributes() == said


def test_attributes_differ_in_their_sum_if_they_differ_in_anything():
    base = Attributes(b"f" * 32, b"t" * 16, 7, 100)
    others = [
        Attributes(b"g" + b"f" * 31, b"t" * 16, 7, 100),
        Attributes(b"f" * 32, b"t" * 15 + b"u", 7, 100),
        Attributes(b"f" * 32, b"t" * 16, 8, 100),
        Attributes(b"f" * 32, b"t" * 16, 7, 101),
    ]
    assert len({attributes_sum(one, 50) for one in (base, *others)}) == 5


def test_a_header_s_sum_is_of_what_was_said_and_of_what_recognises_the_bytes():
    header = HEADER._replace(plain_bytes=77)
    said = header.attributes()
    assert header.attributes_sum() == attributes_sum(said, 5000, header.content)
    assert header.attributes_sum() != attributes_sum(said, 5000)


def test_no_plain_length_means_the_stored_one():
    assert attributes_sum(Attributes(), 77) == attributes_sum(Attributes(plain_bytes=77), 50)
    assert attributes_sum(Attributes(), 77) != attributes_sum(Attributes(plain_bytes=0), 77)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fingerprint": b"short"},
        {"fingerprint": bytes(33)},
        {"tenant": bytes(15)},
        {"codec": -1},
        {"codec": 0x10000},
        {"plain_bytes": -1},
        {"plain_bytes": 1 << 63},
    ],
)
def test_attributes_that_do_not_fit_are_refused_with_the_limit(wrong):
    with pytest.raises(UsageError, match="do not fit; give"):
        Attributes(**wrong)


def test_the_largest_attributes_fit():
    largest = Attributes(bytes(32), bytes(16), 0xFFFF, (1 << 63) - 1)
    header = HEADER._replace(codec=largest.codec, plain_bytes=largest.plain_bytes)
    assert unpack(pack(header)).plain_bytes == (1 << 63) - 1
    assert attributes_sum(largest, 0) >= 0
