"""Read a key from the system's keyring, if the package `keyring` is there and its store a real one.

Follows: an allow-list: without a desktop, keyring may fall back to stores that are plain files.
Leaves out: writing into it (`keyring set service user` does).
"""

from __future__ import annotations

import importlib

from workbench.tiering.encryption.errors import MasterKeyError

ALLOWED = (
    "keyring.backends.SecretService",
    "keyring.backends.kwallet",
    "keyring.backends.macOS",
    "keyring.backends.Windows",
)


def read_keyring(entry: str) -> bytes:
    """Return what the keyring holds for ``service/user``.

    Raises
    ------
    MasterKeyError   if there is no keyring, none that can be trusted, or no such entry
    """
    service, _, user = entry.partition("/")
    if not service or not user:
        raise MasterKeyError("a keyring entry is named keyring:service/user; give both")
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        raise MasterKeyError(
            "the key is to come from the keyring, and `keyring` is not installed: run `pip install "
            "keyring`, or use a key file"
        ) from None
    backend = type(keyring.get_keyring()).__module__
    if not backend.startswith(ALLOWED):
        raise MasterKeyError(
            f"the keyring here is {backend}, which may keep keys in plain files; use one of "
            f"{', '.join(ALLOWED)}, or a key file of mode 0600"
        )
    found = keyring.get_password(service, user)
    if found is None:
        raise MasterKeyError(
            f"the keyring holds nothing for {service}/{user}; put 64 hex digits there with "
            f"`keyring set {service} {user}`"
        )
    return str(found).encode()
