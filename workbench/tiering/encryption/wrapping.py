"""Wrap a secret under another one, bound to what it is for.

Follows: AES-256-GCM with a random nonce: a wrapping key wraps far fewer than 2^32 secrets.
Leaves out: blocks (cipher.py): there are too many of them for random nonces.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workbench.tiering.encryption.derivation import framed
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.secret import Secret

_NONCE_BYTES, _TAG_BYTES = 12, 16
WRAPPING_BYTES = _NONCE_BYTES + _TAG_BYTES


def wrap(under: Secret, secret: Secret, *purpose: bytes) -> bytes:
    """Return a secret as it may be stored, 28 bytes longer."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(under.reveal()).encrypt(nonce, secret.reveal(), framed(*purpose))


def unwrap(under: Secret, wrapped: bytes, *purpose: bytes) -> Secret:
    """Return the secret.

    Raises
    ------
    KeyTableError   if it was wrapped under another one, for another purpose, or was changed
    """
    nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
    try:
        return Secret(AESGCM(under.reveal()).decrypt(nonce, sealed, framed(*purpose)))
    except InvalidTag:
        raise KeyTableError(
            "a wrapped key was changed, or belongs elsewhere: restore the key table from a copy"
        ) from None
