"""Tell somebody how many blocks of a batch are whole, while another thread drives the ring.

Follows: the driver never waits for Python: it counts, writes to an eventfd and goes on, so that the
device's queue stays as full as it was (told from the driver's own thread, 5 requests became 4.3).
Leaves out: the counting (kernels/ring.py), and what is done with the blocks.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

from workbench.tiering.async_io.engine import OnWhole


class Teller:
    """A thread that sleeps until the eventfd ``event`` is written to; serves one batch at a time.

    Parameters
    ----------
    count : callable   answers how many blocks are whole now, in any thread
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self.event = os.eventfd(0, os.EFD_CLOEXEC)
        self._count = count
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._on_whole: OnWhole | None = None
        self._n_told = 0
        self._error: BaseException | None = None
        # A driver that is done does not wait until everything has been told.
        self._is_ending = False
        self._closed = False
        # Not waited for when the process ends: an engine may be left open.
        self._thread = threading.Thread(target=self._work, name="ring-teller", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def telling(self, on_whole: OnWhole) -> Iterator[None]:
        """Tell of one batch; the last call has returned when this ends.

        Raises
        ------
        Whatever ``on_whole`` raised; it is not called again then
        """
        with self._lock:
            self._on_whole, self._n_told, self._error = on_whole, 0, None
        try:
            yield
        finally:
            self._is_ending = True
            with self._lock:
                self._on_whole, self._is_ending = None, False
                error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """End the thread; in a child after a fork, which has none, only the descriptor goes."""
        if os.getpid() == self._pid:
            self._closed = True
            os.eventfd_write(self.event, 1)
            self._thread.join()
        os.close(self.event)

    def _work(self) -> None:
        while not self._closed:
            # A hint: one that belongs to an earlier batch finds nothing new to tell.
            os.eventfd_read(self.event)
            while self._tell_one():
                pass

    def _tell_one(self) -> bool:
        """Tell of one more whole block, if there is one and somebody to be told."""
        if self._is_ending:
            return False
        with self._lock:
            if self._on_whole is None or self._count() <= self._n_told:
                return False
            self._n_told += 1
            try:
                self._on_whole(self._n_told)
            except BaseException as error:
                self._on_whole, self._error = None, error
            return True
