"""Name the ways in which a store cannot be opened or used; each message carries the fix.

Follows: workbench.errors; everything a running store meets is a miss and a counter, never one of
these.
Leaves out: errors of single requests (async_io.engine).
"""

from __future__ import annotations

from workbench.tiering.async_io.engine import StorageError


class StoreInUseError(StorageError):
    """Another process has the store open; ``pid`` is None when it cannot be told which."""

    def __init__(self, folder: str, pid: int | None) -> None:
        self.pid = pid
        who = f"pid {pid}" if pid is not None else "another process"
        super().__init__(f"{folder}: in use by {who}; close it there, or give another folder")


class StoreVersionError(StorageError):
    """A file was written by another version of the format; it has not been touched."""

    def __init__(self, file: str, found: int, supported: int) -> None:
        self.file, self.found, self.supported = file, found, supported
        verb = "update the workbench" if found > supported else "use the version that wrote it"
        super().__init__(
            f"{file}: format version {found}, this workbench reads version {supported}; {verb}, or "
            "remove the folder to start with an empty store"
        )


class StoreGeometryError(StorageError):
    """The configuration does not fit the store that is there."""


class StoreDamagedError(StorageError):
    """A file is there that cannot be this store's, and that is not ours to remove."""


class StoreSealedError(StorageError):
    """The store is sealed and was opened without keys, or the other way round, or with others."""


class StoreRolledBackError(StorageError):
    """The store is older than the pin that was kept outside it, or is another store."""


class StoreForkedError(StorageError):
    """The store was opened before a fork; the child has neither its lock nor its threads."""
