"""Open a closed store's keys to change them: another master key, a tenant less.

Follows: under the store's own lock, so that no open store writes the table meanwhile.
Leaves out: the blocks; none is read or written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import UsageError
from workbench.paths import shown
from workbench.tiering.async_io.folder import RealFolder
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.master_key import MasterKey
from workbench.tiering.encryption.store_keys import StoreKeys
from workbench.tiering.ssd_tier.layout import KEYS
from workbench.tiering.ssd_tier.lock import FolderLock
from workbench.tiering.ssd_tier.side_file import SideFile


@contextlib.contextmanager
def closed_store_keys(folder: Path, master: MasterKey) -> Iterator[StoreKeys]:
    """Lock a store and load its keys.

    Raises
    ------
    StorageError   if the store is in use, is not sealed, or has another master key
    """
    if not (folder / KEYS).is_file():
        raise KeyTableError(
            f"{shown(folder)}: holds no table of keys, so no sealed store; name its folder"
        )
    with RealFolder(folder) as opened, SynchronousEngine() as engine:
        lock = FolderLock(opened, shown(folder))
        try:
            keys = StoreKeys.load(SideFile(engine, opened, KEYS), master)
            assert keys is not None
            yield keys
        finally:
            lock.release()


def rotate(folder: Path, master: MasterKey, new: MasterKey) -> None:
    """Let another master key open a store; the old one opens it no more once this returns.

    A crash leaves either of them in force: keep both until then.
    """
    with closed_store_keys(folder, master) as keys:
        keys.rotate(new)


def purge(folder: Path, master: MasterKey, name: str) -> None:
    """Erase a tenant's keys from a closed store.

    Raises
    ------
    UsageError   if there is no such tenant
    """
    with closed_store_keys(folder, master) as keys:
        tag = keys.find(name)
        if tag is None:
            raise UsageError(f"the store has no tenant {name!r}; name one that it has")
        keys.purge(tag, master)
