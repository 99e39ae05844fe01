"""How blocks lie on a server: the disk's frames, without a place, in chunks."""

import pytest

from tests.network.tiers import key, value
from workbench.tiering.distributed_tier import wire_form
from workbench.tiering.distributed_tier.miss import Miss, MissError
from workbench.tiering.distributed_tier.topology import slot_of
from workbench.tiering.ssd_tier.frame import HEADER_BYTES, Attributes, Kind, pack, unpack

ATTRIBUTES = Attributes(b"m" * 32, b"t" * 16, 7, 12_345)


def framed(stored, attributes=ATTRIBUTES):
    room = wire_form.copied(memoryview(stored))
    wire_form.wrap(key(1), room, attributes)
    return room


def test_a_frame_is_read_as_it_was_wrapped():
    room = framed(value(1))
    header = wire_form.read_header(room[:HEADER_BYTES], key(1))
    assert header.attributes() == ATTRIBUTES
    assert (header.kind, header.stored_bytes) == (Kind.BLOCK, 10_000)
    wire_form.check_payload(header, room[HEADER_BYTES:])
    assert room[HEADER_BYTES:] == value(1)


@pytest.mark.parametrize("n_bytes", [0, 1, 4096, 4097, 8192, 10_000])
def test_chunks_are_cut_and_counted_alike(n_bytes):
    room = framed(value(1, n_bytes))
    cut = wire_form.chunks(room, 4096)
    assert b"".join(cut) == room
    header = wire_form.read_header(room[:HEADER_BYTES], key(1))
    assert wire_form.n_chunks(header, cut[0].nbytes - HEADER_BYTES) == len(cut)
    assert all(chunk.nbytes == 4096 for chunk in cut[1:-1])


@pytest.mark.parametrize("first", [-256, -1, 0, 1, 4095, 10_001])
def test_no_other_first_chunk_is_believed(first):
    header = wire_form.read_header(framed(value(1))[:HEADER_BYTES], key(1))
    with pytest.raises(MissError):
        wire_form.n_chunks(header, first)


def test_every_flipped_bit_of_a_header_is_seen():
    raw = bytes(framed(value(1, 64))[:HEADER_BYTES])
    for bit in range(8 * HEADER_BYTES):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(MissError) as told:
            wire_form.read_header(flipped, key(1))
        assert told.value.why is Miss.DAMAGED


def test_a_frame_of_another_key_kind_or_place_is_none():
    header = unpack(framed(value(1, 64)))
    others = [
        header._replace(key=key(2)),
        header._replace(kind=Kind.TOMBSTONE),
        header._replace(store=b"s" * 16),
        *(header._replace(**{name: 1}) for name in ("segment", "page", "epoch", "sequence")),
        header._replace(durable=1),
    ]
    for other in others:
        with pytest.raises(MissError):
            wire_form.read_header(pack(other), key(1))


def test_other_stored_bytes_are_seen():
    room = framed(value(1, 64))
    header = wire_form.read_header(room[:HEADER_BYTES], key(1))
    room[-1] ^= 1
    with pytest.raises(MissError):
        wire_form.check_payload(header, room[HEADER_BYTES:])


def test_all_chunks_of_a_block_have_one_slot():
    from valkey.crc import key_slot

    names = [wire_form.chunk_name(b"kv", key(5), number) for number in range(3)]
    assert len(set(names)) == 3
    assert {key_slot(name) for name in names} == {slot_of(key(5))}


def test_attributes_are_compared_as_the_ssd_tier_does():
    header = wire_form.read_header(framed(value(1))[:HEADER_BYTES], key(1))
    assert wire_form.is_of(header, None)
    assert wire_form.is_of(header, Attributes(b"m" * 32, b"t" * 16, 7))
    assert not wire_form.is_of(header, Attributes(b"x" * 32, b"t" * 16, 7))
    assert not wire_form.is_of(header, Attributes(b"m" * 32, b"x" * 16, 7))
    assert not wire_form.is_of(header, Attributes(b"m" * 32, b"t" * 16, 8))
