"""Test that keys differ whenever anything differs that bytes depend on."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache.block_key import (
    ROOT,
    BlockKeys,
    frame_key,
    frame_keys,
    is_first,
    pack_ids,
)
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

LAYOUT = BlockLayout(KVGeometry(5, 2, 4, "float16"), 4, 2)
KEYS = BlockKeys(LAYOUT, fingerprint=b"model", tenant=b"secret", codec=3)


def test_a_key_by_hand():
    fields = [
        b"secret",
        b"model",
        b"float16",
        struct.pack("<6Q", 5, 2, 4, 4, 2, 3),
        ROOT,
        struct.pack("<4I", 7, 8, 9, 1 << 31),
    ]
    packed = b"".join(struct.pack("<Q", len(field)) + field for field in fields)
    digest = hashlib.sha256(packed).digest()
    assert KEYS.key(ROOT, [7, 8, 9, 1 << 31]) == bytes([digest[0] | 1]) + digest[1:]


def test_a_sequences_first_block_is_known_by_its_key():
    for start in range(50):
        first, *others = KEYS.chain(range(start, start + 16))
        assert is_first(first)
        assert is_first(KEYS.key(ROOT, [start]))
        assert not any(map(is_first, others))


OTHERS = {
    "model": BlockKeys(LAYOUT, fingerprint=b"mode", tenant=b"secretl", codec=3),
    "fields that lie differently": BlockKeys(LAYOUT, fingerprint=b"lmode", tenant=b"secre"),
    "tenant": BlockKeys(LAYOUT, fingerprint=b"model", codec=3),
    "codec": BlockKeys(LAYOUT, fingerprint=b"model", tenant=b"secret"),
    "layers' codecs": BlockKeys(
        LAYOUT, fingerprint=b"model", tenant=b"secret", codec=3, layer_codecs=bytes(10)
    ),
    "block size": BlockKeys(
        replace(LAYOUT, block_tokens=8), fingerprint=b"model", tenant=b"secret", codec=3
    ),
    "frames": BlockKeys(
        replace(LAYOUT, frame_layers=3), fingerprint=b"model", tenant=b"secret", codec=3
    ),
    "dtype": BlockKeys(
        replace(LAYOUT, geometry=KVGeometry(5, 2, 4, "float32")),
        fingerprint=b"model",
        tenant=b"secret",
        codec=3,
    ),
    "heads": BlockKeys(
        replace(LAYOUT, geometry=KVGeometry(5, 4, 2, "float16")),
        fingerprint=b"model",
        tenant=b"secret",
        codec=3,
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_whatever_differs_makes_another_key(what):
    ids = [1, 2, 3, 4]
    assert OTHERS[what].key(ROOT, ids) != KEYS.key(ROOT, ids)
    assert OTHERS[what].attributes != KEYS.attributes


def test_a_block_is_known_by_all_tokens_before_it():
    chain = KEYS.chain([1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert len(chain) == 2
    assert chain[1] == KEYS.key(chain[0], [5, 6, 7, 8])
    assert KEYS.chain([0, 2, 3, 4, 5, 6, 7, 8])[1] != chain[1]
    assert KEYS.key(ROOT, [1, 2, 3]) != KEYS.key(ROOT, [1, 2, 3, 0])
    assert KEYS.chain([1, 2, 3]) == []


def test_token_ids_may_come_in_any_kind_of_list():
    want = struct.pack("<3I", 5, 6, 7)
    for ids in ([5, 6, 7], range(5, 8), (5, 6, 7), np.array([5, 6, 7])):
        assert pack_ids(ids) == want


@pytest.mark.parametrize("bad", [-1, 1 << 32, 1.5, "7", None])
def test_what_is_no_token_id_is_named(bad):
    with pytest.raises(UsageError, match=f"token id {bad!r}"):
        pack_ids([3, bad])


def test_frames_have_keys_of_their_own():
    key = bytes(range(32))
    keys = [frame_key(key, frame) for frame in range(300)]
    assert frame_keys(key, 300) == keys
    assert keys[0] == key
    assert len(set(keys)) == 300
    assert {one[:28] for one in keys} == {key[:28]}
