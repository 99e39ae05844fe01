"""Hold one file open whose bytes are not trusted: its size is taken once, from the handle.

Follows: RELIABILITY's rule for GGUF: the size by fstat, the file opened once.
Leaves out: reading it (reader.py) and mapping it (model_map.py).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.paths import shown
from workbench.tiering.closing import Closing


class GGUFError(WorkbenchError):
    """A file that is no GGUF, a damaged one, or a hostile one; says at which byte and why."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        self.offset = offset
        self.reason = reason
        super().__init__(f"{shown(path)}: byte {offset}: {reason}")


class OpenFile(Closing):
    """A regular file, open for reading.

    Attributes
    ----------
    path : Path        where it was opened
    fd : int           its descriptor
    file_bytes : int   its size when it was opened: what every length in it is held against
    """

    def __init__(self, path: Path) -> None:
        """Open a file; GGUFError if it cannot be opened or is a folder, a pipe or a device."""
        self.path = path
        try:
            # A pipe would wait for its writer for ever.
            self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            code = error.errno if isinstance(error, OSError) else None
            reason = f"cannot be opened: {os.strerror(code) if code else error}"
            raise GGUFError(path, 0, reason) from error
        self._open = True
        status = os.fstat(self.fd)
        self.file_bytes = status.st_size
        self._modified_ns = status.st_mtime_ns
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise GGUFError(path, 0, "is no regular file")

    def check_unchanged(self) -> None:
        """Raise GGUFError if the file was cut, grew or was written to since it was opened.

        The same once it was closed: its number may be another file by then.

        Cost    one system call, 1 us.
        """
        if not self._open:
            raise GGUFError(self.path, 0, "the file was closed; open the model again")
        status = os.fstat(self.fd)
        if status.st_size != self.file_bytes:
            raise GGUFError(
                self.path,
                min(status.st_size, self.file_bytes),
                f"the file had {self.file_bytes} bytes when it was opened and now has "
                f"{status.st_size}; open the model again",
            )
        if status.st_mtime_ns != self._modified_ns:
            raise GGUFError(
                self.path, 0, "the file was written to since it was opened; open the model again"
            )

    def read(self, offset: int, n_bytes: int) -> bytes:
        """Return bytes of the file; GGUFError if it became too short to have them all."""
        raw = b""
        while len(raw) < n_bytes:
            more = os.pread(self.fd, n_bytes - len(raw), offset + len(raw))
            if not more:
                place = offset + len(raw)
                raise GGUFError(self.path, place, "the file became shorter while it was read")
            raw += more
        return raw

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        if self._open:
            self._open = False
            os.close(self.fd)
