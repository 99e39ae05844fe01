"""Derive one secret from another, for one purpose.

Follows: HKDF-SHA256 (RFC 5869); every field of the purpose is length-prefixed, so that no two
different lists of fields give the same bytes.
Leaves out: secrets from passwords; a master key is random.
"""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workbench.tiering.encryption.secret import SECRET_BYTES, Secret

_LENGTH = struct.Struct("<Q")


def framed(*fields: bytes) -> bytes:
    """Return fields one after the other, each behind its length."""
    return b"".join(_LENGTH.pack(len(field)) + field for field in fields)


def derive(secret: Secret, salt: bytes, *purpose: bytes) -> Secret:
    """Return 32 bytes that only those know who know the secret; about 30 us."""
    kdf = HKDF(SHA256(), SECRET_BYTES, salt, framed(b"workbench", *purpose))
    return Secret(kdf.derive(secret.reveal()))
