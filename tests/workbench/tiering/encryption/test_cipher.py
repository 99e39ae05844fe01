"""NIST's vectors through our own calls, in place and apart; nothing unverified is ever left."""

from __future__ import annotations

import os
from collections.abc import Iterator

import cryptography_vectors
import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workbench.tiering.encryption import cipher
from workbench.tiering.encryption.cipher import NONCE_BYTES, TAG_BYTES, decrypt, encrypt
from workbench.tiering.encryption.secret import Secret
from workbench.tiering.ssd_tier.sealing import SealError

KEY = Secret(bytes(range(32)))
NONCE = bytes(range(NONCE_BYTES))


def vectors(name: str) -> Iterator[dict[str, bytes]]:
    """Yield NIST's vectors with our lengths of nonce and tag; FAIL is among a vector's fields."""
    with cryptography_vectors.open_vector_file(f"ciphers/AES/GCM/{name}", "r") as file:
        text = file.read()
    for block in text.replace("\r", "").split("\n\n"):
        lines = [line.partition("=") for line in block.splitlines() if line[:1] not in ("#", "[")]
        fields = {field.strip(): value.strip() for field, _, value in lines if field.strip()}
        if "Key" not in fields:
            continue
        vector = {
            field: bytes.fromhex(value)
            for field, value in fields.items()
            if field not in ("Count", "FAIL")
        }
        if "FAIL" in fields:
            vector["FAIL"] = b""
        if len(vector["IV"]) == NONCE_BYTES and len(vector["Tag"]) == TAG_BYTES:
            yield vector


def test_nist_s_encryptions_are_ours():
    done = 0
    for vector in vectors("gcmEncryptExtIV256.rsp"):
        key, plain = Secret(vector["Key"]), vector["PT"]
        apart, in_place = bytearray(len(plain)), bytearray(plain)
        for source, into in ((plain, apart), (in_place, in_place)):
            tag = encrypt(key, vector["IV"], vector["AAD"], memoryview(source), memoryview(into))
            assert (bytes(into), tag) == (vector["CT"], vector["Tag"])
        done += 1
    assert done == 375


def test_nist_s_decryptions_are_ours_and_what_must_fail_fails():
    done = refused = 0
    for vector in vectors("gcmDecrypt256.rsp"):
        payload = bytearray(vector["CT"])
        arguments = (Secret(vector["Key"]), vector["IV"], vector["AAD"], vector["Tag"])
        if "FAIL" in vector:
            with pytest.raises(SealError):
                decrypt(*arguments, memoryview(payload))
            assert not any(payload)
            refused += 1
        else:
            decrypt(*arguments, memoryview(payload))
            assert payload == vector["PT"]
            done += 1
    assert (done, refused) == (184, 191)


@pytest.mark.parametrize("n_bytes", [0, 1, 15, 16, 17, 4095, 4096, 4097, 1_474_560])
def test_every_length_comes_back_and_agrees_with_the_other_interface(n_bytes):
    plain = os.urandom(n_bytes)
    stored = bytearray(n_bytes)
    tag = encrypt(KEY, NONCE, b"bound", memoryview(plain), memoryview(stored))
    assert AESGCM(KEY.reveal()).decrypt(NONCE, bytes(stored) + tag, b"bound") == plain
    decrypt(KEY, NONCE, b"bound", tag, memoryview(stored))
    assert stored == plain


def test_the_library_leaves_plain_bytes_behind_a_bad_tag_and_we_do_not():
    plain = os.urandom(100_000)
    stored = bytearray(len(plain))
    tag = encrypt(KEY, NONCE, b"", memoryview(plain), memoryview(stored))
    wrong = bytes(TAG_BYTES)
    library = np.frombuffer(bytearray(stored), np.uint8)
    with pytest.raises(InvalidTag):
        AESGCM(KEY.reveal()).decrypt_into(NONCE, bytes(stored) + wrong, b"", library)
    # This is what the wiping is for; should it ever change, the wiping may go.
    assert library.tobytes() == plain
    target = bytearray(stored)
    with pytest.raises(SealError):
        decrypt(KEY, NONCE, b"", wrong, memoryview(target))
    assert not any(target)
    decrypt(KEY, NONCE, b"", tag, memoryview(stored))
    assert stored == plain


def test_whatever_else_goes_wrong_leaves_zeros_too(monkeypatch):
    class Interrupted:
        def __init__(self, *_: object) -> None: ...

        def decryptor(self):
            return self

        def authenticate_additional_data(self, _: bytes) -> None: ...

        def update_into(self, source: memoryview, into: memoryview) -> None:
            into[:] = b"p" * len(into)

        def finalize_with_tag(self, _: bytes) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(cipher, "Cipher", Interrupted)
    target = bytearray(100)
    with pytest.raises(KeyboardInterrupt):
        decrypt(KEY, NONCE, b"", bytes(TAG_BYTES), memoryview(target))
    assert not any(target)


def test_what_is_refused_names_no_cause_that_holds_a_key():
    with pytest.raises(SealError) as refused:
        decrypt(KEY, NONCE, b"", bytes(TAG_BYTES), memoryview(bytearray(10)))
    assert refused.value.__cause__ is None
    assert KEY.reveal().hex() not in str(refused.value)
