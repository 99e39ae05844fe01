"""What the engines on real files share: opening, forgetting, proving, counting.

Follows: engine.Engine; a subclass adds `submit` and `close`.
Leaves out: how requests reach the device.
"""

from __future__ import annotations

import abc
import os
from collections.abc import Sequence
from pathlib import Path

from workbench.tiering.async_io.engine import (
    DEFAULT_DEADLINE_S,
    Completion,
    EngineStats,
    OnWhole,
    Request,
    StorageError,
)
from workbench.tiering.async_io.files import DirectProof, FileTable, direct_proof
from workbench.tiering.async_io.tally import Tally
from workbench.tiering.closing import Closing


class RealFiles(Closing):
    """An engine's files and counters; `kind` names it in the stats."""

    kind: str

    def __init__(self, *, direct: bool, write_through: bool = False, reason: str = "") -> None:
        """Start with no file.

        Parameters
        ----------
        direct : bool          bypass the page cache; a file whose file system refuses is buffered,
                               once and for good, and the stats say why
        write_through : bool   every write reaches the device before it completes (O_DSYNC)
        reason : str           why a better engine was not had, for the stats
        """
        self._files = FileTable(direct=direct, write_through=write_through)
        self._tally = Tally()
        self._reason = reason
        self._pid = os.getpid()

    def open(self, path: Path, *, writable: bool = True) -> int:
        """Open an existing regular file and return its handle.

        Raises
        ------
        StorageError   if it cannot be opened, is a link or no regular file, or the engine is closed
        """
        return self._files.open(path, writable)

    def forget(self, file: int) -> None:
        """Close one file as soon as no request uses it; its handle is never given out again.

        Raises
        ------
        StorageError   if the handle is not open
        """
        self._files.forget(file)

    @abc.abstractmethod
    def submit(
        self,
        batch: Sequence[Request],
        deadline_s: float = DEFAULT_DEADLINE_S,
        on_whole: OnWhole | None = None,
    ) -> list[Completion]:
        """Move every block and return one completion a request; see `engine.Engine.submit`."""

    def fileno(self, file: int) -> int:
        """Return a file's descriptor, for `residency`; StorageError if it is not open."""
        return self._files.get(file).fd

    def is_direct(self, file: int) -> bool:
        """Return whether requests of this file bypass the page cache."""
        return self._files.get(file).direct

    def direct_proof(self, file: int) -> DirectProof:
        """Read the file's O_DIRECT flag back from the kernel."""
        return direct_proof(self.fileno(file))

    def stats(self) -> EngineStats:
        """Return the counters so far."""
        reasons = [reason for reason in (self._reason, self._files.fallback_reason) if reason]
        pinned = self._pinned()
        return self._tally.stats(self.kind, self._files.direct, "; ".join(reasons), pinned)

    def close(self) -> None:
        """Close every file; closing twice is harmless."""
        self._files.close()

    def _pinned(self) -> int:
        return 0

    def _refuse_fork(self) -> None:
        """Refuse to go on in a child: its parent's threads and rings are not there."""
        if os.getpid() != self._pid:
            raise StorageError(
                f"this {self.kind} engine was opened by process {self._pid}, before a fork; "
                "open another one in this process"
            )
