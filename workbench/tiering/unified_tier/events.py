"""Remember what happened lately, and tell it to logging as JSON lines.

Follows: structured events; a ring of them in memory, so that nothing grows.
Leaves out: tokens, names of sessions, passwords and paths: nothing of a user's is in an event.
"""

from __future__ import annotations

import enum
import json
import logging
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

from workbench.errors import UsageError
from workbench.paths import shown
from workbench.tiering.closing import Closing

LOG = logging.getLogger("workbench.tiers")
KEPT = 1000
# Two files of it, the newer and the older one.
_FILE_BYTES = 4 << 20


class Kind(enum.StrEnum):
    """What happened."""

    OPENED = "opened"
    SERVING = "serving"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    OFF = "off"
    SPLIT_MOVED = "split moved"
    SESSION_BEGAN = "session began"
    SESSION_RESUMED = "session resumed"
    SESSION_FORGOTTEN = "session forgotten"
    SESSION_ENDED = "session ended"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    kind : Kind
    tier : str            "ram", "ssd", "network", or "" for all of it
    reason : str          why, in a person's words
    wall_s : float        seconds since 1970, as the clock stood
    monotonic_s : float   seconds on a clock that never steps
    """

    kind: Kind
    tier: str
    reason: str
    wall_s: float
    monotonic_s: float


class Events(Closing):
    """The last events. Safe between threads."""

    def __init__(self, file: Path | None = None, kept: int = KEPT) -> None:
        """Remember so many; a file gets every one as a line, and is turned over at 4 MiB.

        Raises
        ------
        UsageError   if the file cannot be written
        """
        self._ring: deque[Event] = deque(maxlen=kept)
        self._lock = threading.Lock()
        self._file: logging.Handler | None = None
        if file is not None:
            try:
                self._file = RotatingFileHandler(file, maxBytes=_FILE_BYTES, backupCount=1)
            except OSError as error:
                raise UsageError(
                    f"event_log={shown(file)} cannot be written: {error.strerror}; name another"
                ) from None

    def add(self, kind: Kind, tier: str = "", reason: str = "") -> None:
        """Remember an event, and tell it to the logger ``workbench.tiers`` and the file."""
        event = Event(kind, tier, reason, time.time(), time.monotonic())
        with self._lock:
            self._ring.append(event)
        said = json.dumps(asdict(event))
        # Whoever wants them asks for INFO; what a person must know is a warning of the tier's own.
        LOG.info(said)
        if self._file is not None:
            self._file.handle(LOG.makeRecord(LOG.name, logging.INFO, "", 0, said, (), None))

    def last(self) -> list[Event]:
        """Return the events that are remembered, the oldest first."""
        with self._lock:
            return list(self._ring)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
