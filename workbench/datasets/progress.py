"""Show how far a download is: a bar on a terminal, one line a file elsewhere, nothing by default.

Follows: papermill#765 and others: a progress bar in a log file is noise.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """The silent one, and the interface: `start`, any `advance`, `finish`; `say` at any time."""

    def start(self, label: str, n_bytes: int, done_bytes: int = 0) -> None:
        """Begin one file of a known size, part of which may be there already."""

    def advance(self, n_bytes: int) -> None:
        """Count bytes that arrived."""

    def finish(self) -> None:
        """End the file that was begun, whole or not."""

    def say(self, text: str) -> None:
        """Tell the user something in one line."""

    @contextmanager
    def showing(self, label: str, n_bytes: int, done_bytes: int = 0) -> Iterator[None]:
        """Start a file and finish it on the way out, whatever happens."""
        self.start(label, n_bytes, done_bytes)
        try:
            yield
        finally:
            self.finish()


class ConsoleProgress(Progress):
    """Progress on stderr: a tqdm bar if that is a terminal, and a line when a file is complete."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._label, self._done_bytes, self._started_s = "", 0, 0.0

    def start(self, label: str, n_bytes: int, done_bytes: int = 0) -> None:
        """Begin one file of a known size, part of which may be there already."""
        from tqdm import tqdm

        self._label, self._done_bytes, self._started_s = label, done_bytes, time.monotonic()
        self._bar = tqdm(
            desc=label,
            total=n_bytes,
            initial=done_bytes,
            unit="B",
            unit_scale=True,
            disable=None,  # tqdm's word for "only on a terminal"
            leave=False,
        )

    def advance(self, n_bytes: int) -> None:
        """Count bytes that arrived."""
        self._done_bytes += n_bytes
        self._bar.update(n_bytes)

    def finish(self) -> None:
        """End the file that was begun, whole or not."""
        self._bar.close()
        seconds = time.monotonic() - self._started_s
        self.say(f"{self._label}: {self._done_bytes / 1e6:,.1f} MB in {seconds:.1f} s")

    def say(self, text: str) -> None:
        """Tell the user something in one line."""
        print(text, file=sys.stderr)
