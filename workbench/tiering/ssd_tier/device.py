"""Send requests to the engine, count what came of them, and turn every failure into an answer.

Follows: nothing the device does is an exception above this file.
Leaves out: what the requests are for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.tiering.async_io.engine import (
    DeadlineError,
    Engine,
    Folder,
    OnWhole,
    Request,
    StorageError,
)
from workbench.tiering.ssd_tier.counters import Counters
from workbench.tiering.ssd_tier.deadline import Deadline

_ERRORS = {"read": "read_errors", "write": "write_errors", "sync": "sync_errors"}


class Device:
    """An engine and a folder, counted."""

    def __init__(self, engine: Engine, folder: Folder, counters: Counters) -> None:
        self.engine = engine
        self.folder = folder
        self.counters = counters

    def submit(
        self, batch: Sequence[Request], deadline: Deadline, on_whole: OnWhole | None = None
    ) -> list[StorageError | None]:
        """Carry out a batch and return each request's error, None where every byte moved.

        ``on_whole`` may be told meanwhile how many from the first on have (engine.py).
        """
        if not batch:
            return []
        try:
            moved = self.engine.submit(batch, deadline.left_s(), on_whole)
            errors = [done.error for done in moved]
        except (StorageError, MemoryError) as error:
            errors = [StorageError(f"the engine refused the batch: {error!r}")] * len(batch)
        written = 0
        for request, failure in zip(batch, errors, strict=True):
            if failure is not None:
                late = isinstance(failure, DeadlineError)
                self.counters.add(**{_ERRORS[request.op]: 1, "late_requests": int(late)})
            elif request.op == "write":
                written += request.n_bytes
        if written:
            self.counters.add(written_bytes=written)
        return errors

    def open(self, name: str, writable: bool = True) -> int:
        """Open a file of the folder; StorageError, counted, if that fails."""
        try:
            return self.engine.open(self.folder.path(name), writable=writable)
        except StorageError:
            self.counters.add(folder_errors=1)
            raise

    def sync(self, files: Sequence[int], deadline: Deadline) -> list[StorageError | None]:
        """Make what was written to several files durable; return each file's error."""
        return self.submit([Request("sync", file) for file in files], deadline)

    def change(self, step: Callable[[], object]) -> StorageError | None:
        """Carry out one step on the folder; return what went wrong, if anything did."""
        try:
            step()
        except StorageError as error:
            self.counters.add(folder_errors=1)
            return error
        return None


def first_error(errors: Sequence[StorageError | None]) -> StorageError | None:
    """Return the first failure, or None."""
    return next((error for error in errors if error is not None), None)
