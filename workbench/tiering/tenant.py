"""Turn a tenant's secret into the 16 bytes that the SSD tier's frames carry.

Follows: SHA-256 over length-prefixed fields, as block keys are.
Leaves out: who the tenants are, and their secrets (encryption).
"""

from __future__ import annotations

import hashlib
import struct

from workbench.tiering.ssd_tier.frame import TENANT_BYTES

_LENGTH = struct.Struct("<Q")


def digest(*fields: bytes) -> bytes:
    """Return the SHA-256 of fields, each behind its length."""
    packed = b"".join(_LENGTH.pack(len(field)) + field for field in fields)
    return hashlib.sha256(packed).digest()


def tenant_tag(secret: bytes) -> bytes:
    """Return the 16 bytes by which a tenant's blocks are told; nothing of its secret."""
    return digest(b"tenant", secret)[:TENANT_BYTES]
