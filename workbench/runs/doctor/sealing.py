"""Look at what sealing needs: AES-256-GCM and what it runs on, and the key of what is sealed.

Follows: `workbench key` and `key_source`, whose messages name the fix already.
Leaves out: opening blocks; a key that unwraps nothing here is told apart by its id alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from workbench import paths
from workbench.errors import WorkbenchError
from workbench.runs.doctor.finding import Checks, Finding, fail, ok, warn

PIECE_BYTES = 1 << 20
# OpenSSL without AES instructions does 0.1 to 0.3 GB/s, with them 1.5 and more on any CPU.
SLOW_GB_S = 0.5
MASK = "OPENSSL_ia32cap"
# The store itself, and the folders in it that `generate --cache` may have been given.
DEPTHS = ("", "*/", "*/*/")


def cipher(rate: Callable[[], float] | None = None) -> Finding:
    """Seal and open a piece of memory, and tell by its rate whether the CPU does AES itself.

    Parameters
    ----------
    rate : callable   returns GB/s; default: measured, best of nine pieces of 1 MiB
    """
    gb_s = (rate or aes_gb_s)()
    found = f"AES-256-GCM seals {gb_s:.1f} GB/s"
    if gb_s < SLOW_GB_S and MASK in os.environ:
        return warn(f"{found}: {MASK} takes the CPU's instructions away", f"unset {MASK}")
    if gb_s < SLOW_GB_S:
        fix = "none on this CPU (a virtual machine may be given it); or leave --key-file out"
        return warn(f"{found}, slow: no AES in hardware, or a busy CPU", fix)
    return ok(f"{found}, by the CPU's own instructions")


def aes_gb_s() -> float:
    """Return how fast one thread seals, GB/s; what it sealed last is opened again.

    Raises
    ------
    SealError     if it does not open
    ImportError   if `cryptography` is not there, or cannot be loaded
    """
    from workbench.tiering.encryption.cipher import NONCE_BYTES, decrypt, encrypt
    from workbench.tiering.encryption.secret import Secret

    key, plain = Secret.random(), memoryview(bytes(PIECE_BYTES))
    sealed = memoryview(bytearray(PIECE_BYTES))
    took_ns = []
    for number in range(9):
        nonce = number.to_bytes(NONCE_BYTES, "big")
        began = time.perf_counter_ns()
        tag = encrypt(key, nonce, b"", plain, sealed)
        took_ns.append(time.perf_counter_ns() - began)
    decrypt(key, nonce, b"", tag, sealed)
    return PIECE_BYTES / min(took_ns)


def key(store: Path) -> Finding:
    """Check that what is sealed in the store has its key: there, yours alone, and the right one."""
    from workbench.tiering.encryption import MasterKeyError, find_master_key

    folders = sealed_folders(store)
    told = ", ".join(paths.shown(folder) for folder in folders)
    try:
        master = find_master_key()
    except MasterKeyError as error:
        return _as_finding(error)
    if master is None and not folders:
        return ok("nothing is sealed in the store, and no key is named")
    if master is None:
        fix = "export WORKBENCH_KEY_FILE=FILE, the key that it was sealed with, or give --key-file"
        return warn(f"sealed: {told}; no key is named", fix)
    named = f"key {master.id.hex()}"
    for folder in folders:
        try:
            wanted = sealed_by(folder)
        except WorkbenchError as error:
            return _as_finding(error)
        if wanted != master.id:
            found = f"{paths.shown(folder)} is sealed with key {wanted.hex()}, named is {named}"
            return fail(found, "name its own key by WORKBENCH_KEY_FILE, or with --key-file")
    return ok(f"{named} opens {told}" if folders else f"{named}, nothing is sealed in the store")


def sealed_folders(store: Path) -> list[Path]:
    """Return the folders in and below the store that hold a table of keys, damaged or not."""
    from workbench.tiering.ssd_tier.layout import KEYS, LOCK

    tables = sorted(path for depth in DEPTHS for path in store.glob(f"{depth}{KEYS}"))
    return [path.parent for path in tables if path.with_name(LOCK).is_file()]


def sealed_by(folder: Path) -> bytes:
    """Return the id of the master key that opens a folder.

    Raises
    ------
    KeyTableError   if both copies of its table are damaged, or it is of another version
    """
    from workbench.tiering.encryption import key_table
    from workbench.tiering.ssd_tier.layout import KEYS

    raw = memoryview((folder / KEYS).read_bytes())
    return key_table.unpack(raw, paths.shown(folder / KEYS)).master


def _as_finding(error: WorkbenchError) -> Finding:
    """Take a message of the form `what is wrong; the fix` apart."""
    found, _, fix = str(error).partition("; ")
    return fail(found, fix or "mend what it names, then run doctor again")


def checks(store: Path) -> Checks:
    """Return the checks of sealing."""
    return {"sealing": cipher, "sealing key": partial(key, store)}
