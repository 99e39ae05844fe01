"""Name blocks by what they hold: a SHA-256 over all that makes their bytes what they are.

Follows: prefix caching by chained hashes (vLLM); every field length-prefixed, so that no two
different lists of fields give the same bytes; a tenant's secret keeps tenants' keys apart.
Leaves out: where a block is (directory.py); Python's `hash`, which differs from run to run.
"""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections.abc import Sequence

from workbench.errors import UsageError
from workbench.tiering.ssd_tier.frame import KEY_BYTES, Attributes
from workbench.tiering.tenant import digest, tenant_tag
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

_LENGTH = struct.Struct("<Q")
_LAYOUT = struct.Struct("<6Q")
_TAIL = struct.Struct("<I")
# The parent of a sequence's first block.
ROOT = bytes(KEY_BYTES)
_KEY_LENGTH = _LENGTH.pack(KEY_BYTES)
# Of a key's first byte.
_FIRST = 1
_TOKEN_BYTES = 4
_MAX_TOKEN_ID = (1 << 32) - 1


class BlockKeys:
    """Make the keys of one model's blocks, in one layout, for one tenant."""

    def __init__(
        self,
        layout: BlockLayout,
        *,
        fingerprint: bytes,
        tenant: bytes = b"",
        codec: int = 0,
        layer_codecs: bytes = b"",
    ) -> None:
        """Fix all fields but the parent and the token ids.

        Parameters
        ----------
        fingerprint : bytes   of the model: architecture, weights, rope; any length
        tenant : bytes        a secret; blocks are shared between those who know the same one
        codec : int           how the stored bytes are made from a block's
        layer_codecs : bytes  the same layer by layer, if they differ; any length
        """
        geometry = layout.geometry
        shape = (geometry.layers, geometry.kv_heads, geometry.head_dim)
        sizes = _LAYOUT.pack(*shape, layout.block_tokens, layout.frame_layers, codec)
        sizes += layer_codecs
        fields = (tenant, fingerprint, geometry.dtype.encode(), sizes)
        self._block_tokens = layout.block_tokens
        self._base = hashlib.sha256(b"".join(_LENGTH.pack(len(field)) + field for field in fields))
        self.attributes = Attributes(
            fingerprint=digest(b"fingerprint", fingerprint, geometry.dtype.encode(), sizes),
            tenant=tenant_tag(tenant),
            codec=codec,
        )

    def key(self, parent: bytes, token_ids: Sequence[int]) -> bytes:
        """Return the 32-byte key of a block, full or partial, that follows its parent.

        All of it is a digest but one bit, by which `is_first` knows a sequence's first block.

        Raises
        ------
        UsageError   if a token id is no whole number of 0..2^32-1

        Cost    about 2.5 us for 64 ids.
        """
        return self._key(parent, pack_ids(token_ids))

    def _key(self, parent: bytes, ids: bytes) -> bytes:
        state = self._base.copy()
        state.update(b"".join((_KEY_LENGTH, parent, _LENGTH.pack(len(ids)), ids)))
        digest = state.digest()
        return bytes((digest[0] & ~_FIRST | _FIRST * (parent == ROOT),)) + digest[1:]

    def chain(self, token_ids: Sequence[int]) -> list[bytes]:
        """Return the keys of the full blocks of a token list, in their order."""
        keys, parent, size = [], ROOT, self._block_tokens * _TOKEN_BYTES
        ids = pack_ids(token_ids)
        for start in range(0, len(ids) - size + 1, size):
            parent = self._key(parent, ids[start : start + size])
            keys.append(parent)
        return keys


def pack_ids(token_ids: Sequence[int]) -> bytes:
    """Return token ids as little-endian uint32s.

    Raises
    ------
    UsageError   if one is no whole number of 0..2^32-1
    """
    try:
        ids = array("I", token_ids)
    except (OverflowError, TypeError, ValueError):
        bad = next((i for i in token_ids if not _is_id(i)), None)
        raise UsageError(
            f"token id {bad!r} is no whole number of 0..{_MAX_TOKEN_ID:,}; give the tokenizer's ids"
        ) from None
    if _BIG_ENDIAN:
        ids.byteswap()
    return ids.tobytes()


def is_first(key: bytes) -> bool:
    """Return whether a block is a sequence's first: codecs spare the attention sinks in it."""
    return bool(key[0] & _FIRST)


def frame_key(key: bytes, frame: int) -> bytes:
    """Return the key under which the SSD tier holds one frame of a block.

    The block's key with the frame's number folded into its last four bytes: as unlikely to meet
    another block's as 28 bytes of SHA-256 are, and cheaper than another sum.
    """
    if not frame:
        return key
    return key[:-4] + _TAIL.pack(int.from_bytes(key[-4:], "little") ^ frame)


def frame_keys(key: bytes, n_frames: int) -> list[bytes]:
    """Return the keys of a block's first frames (`frame_key`)."""
    head, tail = key[:-4], int.from_bytes(key[-4:], "little")
    return [key, *[head + _TAIL.pack(tail ^ frame) for frame in range(1, n_frames)]]


_BIG_ENDIAN = struct.pack("=I", 1) != struct.pack("<I", 1)
assert array("I").itemsize == _TOKEN_BYTES


def _is_id(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= _MAX_TOKEN_ID
