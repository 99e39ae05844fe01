"""Keep one small file beside the segments, replaced as a whole or not at all.

Follows: write to a temporary name, sync, rename, sync the folder (Pillai et al., OSDI'14).
Leaves out: what is in it, and where it ends: it is padded to pages with zeros.
"""

from __future__ import annotations

from workbench.tiering.async_io.buffers import aligned_buffer
from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    PAGE_BYTES,
    Engine,
    Folder,
    Request,
    StorageError,
)
from workbench.tiering.ssd_tier.device import first_error

_MAX_BYTES = 1 << 20


class SideFile:
    """A file of a folder, read and written whole; errors are the engine's and the folder's."""

    def __init__(self, engine: Engine, folder: Folder, name: str) -> None:
        self._engine = engine
        self._folder = folder
        self.name = name

    def read(self) -> memoryview | None:
        """Return its whole pages, None if there is no such file.

        Raises
        ------
        StorageError   if it cannot be read, or is larger than 1 MiB, which none of ours is
        """
        if self.name not in self._folder.names():
            return None
        n_bytes = self._folder.size(self.name) // PAGE_BYTES * PAGE_BYTES
        if n_bytes > _MAX_BYTES:
            raise StorageError(
                f"{self.name}: has {n_bytes} bytes, at most {_MAX_BYTES} can be; restore it from a "
                "copy of the folder"
            )
        if not n_bytes:
            return memoryview(b"")
        pages = aligned_buffer(n_bytes)
        file = self._engine.open(self._folder.path(self.name), writable=False)
        try:
            self._carry_out([Request("read", file, 0, pages)])
        finally:
            self._engine.forget(file)
        return pages

    def replace(self, content: bytes) -> None:
        """Put new bytes in place of the old ones, durably.

        Raises
        ------
        StorageError   if that failed; the old ones, or the new ones, are there whole
        """
        pages = aligned_buffer(-(-len(content) // PAGE_BYTES) * PAGE_BYTES)
        pages[: len(content)] = content
        pages[len(content) :] = bytes(pages.nbytes - len(content))
        temporary = f"{self.name}.new"
        if temporary in self._folder.names():
            self._folder.remove(temporary)
        self._folder.create(temporary, pages.nbytes)
        file = self._engine.open(self._folder.path(temporary))
        try:
            self._carry_out([Request("write", file, 0, pages)])
            self._carry_out([Request("sync", file)])
        finally:
            self._engine.forget(file)
        self._folder.replace(temporary, self.name)
        self._folder.sync()

    def _carry_out(self, batch: list[Request]) -> None:
        done = self._engine.submit(batch, DEFAULT_DEADLINE_S)
        error = first_error([one.error for one in done])
        if error is not None:
            raise error
