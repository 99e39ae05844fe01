"""Know every segment's file, life and fill; choose the one to empty next.

Follows: the oldest segment goes first (FIFO), unless one is so sparse that nothing need be lost.
Leaves out: reading and writing them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.ssd_tier.index import Index

# Page 0 holds the segment's header, and so does the last page.
FIRST_PAGE = 1


class State(enum.IntEnum):
    """What a segment is used for now."""

    FREE = 1
    OPEN = 2
    SEALED = 3
    BAD = 4  # its new life failed to begin: it holds nothing that counts, and may be tried again


@dataclass(slots=True)
class Segment:
    """One segment.

    Attributes
    ----------
    file : int          the engine's handle; 0 while there is none
    n_pages : int       of the file as it was found; other than the layout's if it was cut, or if a
                        write went astray beyond its end
    epoch : int         its life: the store's sequence number when the life began
    end_page : int      where the next frame goes; everything before is taken
    synced_page : int   frames before this survive power loss
    hung : bool         a write to it never ended; it must not be written anew meanwhile
    """

    number: int
    file: int
    n_pages: int
    epoch: int = 0
    state: State = State.FREE
    end_page: int = FIRST_PAGE
    synced_page: int = FIRST_PAGE
    hung: bool = False

    @property
    def dirty(self) -> bool:
        """Return whether there are frames that a power loss may take."""
        return self.end_page > self.synced_page


@dataclass(slots=True)
class SegmentTable:
    """All segments of a store, by number, and which of them takes the next frame."""

    segment_pages: int
    segments: list[Segment] = field(default_factory=list)
    open: Segment | None = None

    def __getitem__(self, number: int) -> Segment:
        return self.segments[number]

    def free(self) -> list[Segment]:
        """Return the segments without frames, the longest free first."""
        free = [s for s in self.segments if s.state == State.FREE and not s.hung]
        return sorted(free, key=lambda segment: segment.epoch)

    def renewable(self) -> list[Segment]:
        """Return the bad segments that may be tried again, the longest untried first."""
        bad = [s for s in self.segments if s.state == State.BAD and not s.hung]
        return sorted(bad, key=lambda segment: segment.epoch)

    def dirty(self) -> list[Segment]:
        """Return the segments with frames that a power loss may take."""
        return [segment for segment in self.segments if segment.dirty]

    def room_pages(self) -> int:
        """Return how many pages the open segment still takes."""
        return 0 if self.open is None else self.segment_pages - 1 - self.open.end_page

    def seal(self) -> None:
        """Let no more frames into the open segment."""
        if self.open is not None:
            self.open.state = State.SEALED
            self.open = None

    def oldest(self, index: Index) -> Segment | None:
        """Return the oldest segment that has blocks and may be emptied."""
        sealed = [s for s in self._sealed() if index.live_bytes(s.number)]
        return min(sealed, key=lambda segment: segment.epoch, default=None)

    def victim(self, index: Index, compact_below_frac: float) -> tuple[Segment | None, bool]:
        """Choose the segment to empty.

        Returns
        -------
        segment : Segment or None   None when no segment may be emptied
        sparse : bool               so little of it is wanted that all of it is to be kept
        """
        sealed = self._sealed()
        if not sealed:
            return None, False
        sparsest = min(sealed, key=lambda segment: index.live_bytes(segment.number))
        limit = compact_below_frac * self.segment_pages * PAGE_BYTES
        if index.live_bytes(sparsest.number) <= limit:
            return sparsest, True
        return min(sealed, key=lambda segment: segment.epoch), False

    def _sealed(self) -> list[Segment]:
        return [s for s in self.segments if s.state == State.SEALED and not s.hung]
