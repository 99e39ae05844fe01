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
)
from workbench.tiering.ssd_tier.device import first_error


class SideFile:
    """A file of a folder, read and written whole; errors are the engine's and the folder's."""

    def __init__(self, engine: Engine, folder: Folder, name: str) -> None:
        self._engine = engine
        self._folder = folder
        self.name = name

    def read(self) -> memoryview | None:
        """Return its bytes, None if there is no such file; StorageError if it cannot be read."""
        if self.name not in self._folder.names():
            return None
        pages = aligned_buffer(self._folder.size(self.name) // PAGE_BYTES * PAGE_BYTES)
        file = self._engine.open(self._folder.path(self.name), writable=False)
        try:
            self._carry_out([Request("read", file, 0, pages)] if pages.nbytes else [])
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
