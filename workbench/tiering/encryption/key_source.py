"""Find the master key where a user said that it is: a file, a descriptor, the system's keyring.

Follows: a variable names a file, it never holds the key, which `ps` and every child would see.
Leaves out: key servers.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from workbench.tiering.encryption.errors import MasterKeyError
from workbench.tiering.encryption.keyring_entry import read_keyring
from workbench.tiering.encryption.master_key import MasterKey
from workbench.tiering.encryption.private_file import read_private

VARIABLE = "WORKBENCH_KEY_FILE"
_FD, _KEYRING = "fd:", "keyring:"
_MAX_BYTES = 4096


def find_master_key(source: str | Path | None = None) -> MasterKey | None:
    """Return the key that a source names, or else the variable; None if neither is given.

    Parameters
    ----------
    source : str, Path or None   a file, ``fd:3``, or ``keyring:service/user``

    Raises
    ------
    MasterKeyError   if one is named and cannot be had; the message has the fix
    """
    named = os.environ.get(VARIABLE, "") if source is None else str(source)
    if not named:
        if source is not None:
            raise MasterKeyError("the key file's name is empty; name a file")
        return None
    if named.startswith(_FD):
        return MasterKey.parse(_read_descriptor(named), named)
    if named.startswith(_KEYRING):
        return MasterKey.parse(read_keyring(named.removeprefix(_KEYRING)), named)
    path = Path(named)
    return MasterKey.parse(read_private(path), path.name)


def demand_master_key(source: str | Path | None = None) -> MasterKey:
    """Return the key as `find_master_key` does; MasterKeyError where none is named either."""
    found = find_master_key(source)
    if found is None:
        raise MasterKeyError(f"no key is named; give --key-file, or set {VARIABLE} to its file")
    return found


def _read_descriptor(named: str) -> bytes:
    digits = named.removeprefix(_FD)
    if not digits.isdecimal():
        raise MasterKeyError("the key's descriptor is no number; give fd: and a number, as in fd:3")
    raw = b""
    try:
        while len(raw) < _MAX_BYTES and (piece := os.read(int(digits), _MAX_BYTES)):
            raw += piece
    except (OSError, OverflowError) as error:
        raise MasterKeyError(
            f"{named}: cannot be read: {error.strerror if isinstance(error, OSError) else error}; "
            "open the key file for this process, as in `3<key`"
        ) from None
    finally:
        with contextlib.suppress(OSError, OverflowError):
            os.close(int(digits))
    return raw
