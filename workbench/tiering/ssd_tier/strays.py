"""Remember frames on disk that no longer count, yet would look alive to a scan of headers.

Follows: nothing deleted, overwritten or refused may come back after a crash, even if the frame that
replaced it is damaged later; so its header is overwritten too, at the next flush.
Leaves out: writing the marks (durability.py).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from workbench.tiering.ssd_tier.index import Entry


@dataclass(slots=True)
class Stray:
    """One such frame.

    Attributes
    ----------
    promised : bool   False: its put failed, so no newer frame speaks for the key
    hung : bool       the device may still write there: a mark would be overwritten
    stuck : bool      it could not be marked; only newer frames protect from it
    """

    key: bytes
    segment: int
    page: int
    epoch: int
    sequence: int
    stored_bytes: int
    promised: bool = True
    hung: bool = False
    stuck: bool = False


class Strays:
    """The strays of one store; safe to use from several threads."""

    def __init__(self) -> None:
        self._condemned: dict[tuple[int, int], Stray] = {}
        self._unloadable: dict[bytes, Entry] = {}
        self._unread: set[int] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._condemned)

    def condemn(self, stray: Stray) -> None:
        """Note a frame that is to be marked dead."""
        with self._lock:
            self._condemned[stray.segment, stray.page] = stray

    def set_aside(self, key: bytes, entry: Entry) -> None:
        """Note a block that could not be loaded; a restart may find it whole after all."""
        with self._lock:
            self._unloadable[key] = entry

    def take_aside(self, key: bytes) -> Entry | None:
        """Return and forget the entry that was set aside for a key, because a newer frame came."""
        with self._lock:
            return self._unloadable.pop(key, None)

    def doubt(self, segment: int) -> None:
        """Note a segment of which not all could be read: it may hold a frame of any key."""
        with self._lock:
            self._unread.add(segment)

    def doubted(self) -> set[int]:
        """Return the segments of which not all could be read."""
        with self._lock:
            return set(self._unread)

    def concerns(self, key: bytes) -> bool:
        """Return whether any stray frame has this key, or may have it."""
        with self._lock:
            known = key in self._unloadable or bool(self._unread)
            return known or any(stray.key == key for stray in self._condemned.values())

    def pending(self) -> list[Stray]:
        """Return the frames that wait to be marked."""
        with self._lock:
            return [stray for stray in self._condemned.values() if not stray.stuck]

    def stuck(self) -> list[Stray]:
        """Return the frames that could not be marked."""
        with self._lock:
            return [stray for stray in self._condemned.values() if stray.stuck]

    def segments_set_aside(self) -> set[int]:
        """Return the segments of the blocks that could not be loaded."""
        with self._lock:
            return {entry.segment for entry in self._unloadable.values()}

    def absolve(self, strays: list[Stray]) -> None:
        """Forget frames that are dead on disk now."""
        with self._lock:
            for stray in strays:
                self._condemned.pop((stray.segment, stray.page), None)

    def forget_segment(self, segment: int) -> None:
        """Forget everything in a segment whose epoch has moved on."""
        with self._lock:
            self._unread.discard(segment)
            self._condemned = {
                place: stray for place, stray in self._condemned.items() if place[0] != segment
            }
            self._unloadable = {
                key: entry for key, entry in self._unloadable.items() if entry.segment != segment
            }
