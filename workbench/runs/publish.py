"""Put bytes in a place so that a reader finds the old ones or the new ones, never a mixture.

Follows: write a temporary file, fsync, rename over, fsync the folder.
Leaves out: locks; the last writer wins.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_TEMPORARY = ".writing-"


def write_atomic(path: Path, content: bytes) -> None:
    """Replace a file's content in one step; survives a kill at any moment and a power cut after."""
    # Not tempfile: its files are private, while a result gets the permissions its user chose.
    temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(6)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def leftovers(folder: Path) -> list[Path]:
    """Return the temporary files that killed writers left behind."""
    return sorted(folder.glob(f"{_TEMPORARY}*"))
