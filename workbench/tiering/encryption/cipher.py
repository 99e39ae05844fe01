"""Encrypt and decrypt one block's bytes with AES-256-GCM, its tag apart.

Follows: NIST SP 800-38D; in place where the caller wants that, so that a block is decrypted where
it was read to, without a copy; the GIL is released meanwhile.
Leaves out: which key and nonce (sub_keys.py, lanes.py), which fields are bound (sealing.py).
"""

from __future__ import annotations

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM

from workbench.tiering.encryption.secret import Secret
from workbench.tiering.ssd_tier.sealing import SealError

NONCE_BYTES, TAG_BYTES = 12, 16


def encrypt(key: Secret, nonce: bytes, bound: bytes, plain: memoryview, into: memoryview) -> bytes:
    """Encrypt and return the tag.

    Parameters
    ----------
    nonce : bytes[12]              never used with this key before
    bound : bytes                  what must be the same when the block is opened
    plain, into : uint8[n_bytes]   the same memory, or memory that does not overlap

    Cost    7 us and 0.26 ns a byte.
    """
    encryptor = Cipher(AES256(key.reveal()), GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(bound)
    encryptor.update_into(plain, into)
    encryptor.finalize()
    return encryptor.tag


def decrypt(key: Secret, nonce: bytes, bound: bytes, tag: bytes, payload: memoryview) -> None:
    """Decrypt in place; whatever goes wrong, zeros are left, never unverified bytes.

    Raises
    ------
    SealError   if key, nonce, bound bytes, tag or payload are not those of `encrypt`
    """
    decryptor = Cipher(AES256(key.reveal()), GCM(nonce)).decryptor()
    try:
        decryptor.authenticate_additional_data(bound)
        decryptor.update_into(payload, payload)
        # Plain, and not verified yet: from here on they must not outlive a failure.
        decryptor.finalize_with_tag(tag)
    except BaseException as error:
        wipe(payload)
        if isinstance(error, InvalidTag):
            raise SealError("the block was not sealed as its header says") from None
        raise


def wipe(payload: memoryview) -> None:
    """Fill memory with zeros."""
    np.frombuffer(payload, np.uint8)[:] = 0
