"""Remember where reads ended, because a read that begins there may go on from them.

Follows: Linux's read-ahead, which needs a few reads in a row before it believes in a reader.
Leaves out: what happens when one does go on (read_ahead.py).
"""

from __future__ import annotations

from collections import deque

from workbench.tiering.async_io.engine import Request
from workbench.tiering.async_io.stream import Stream

# A key holds position and file; files beyond 2^20 handles are not followed apart, only checked.
FILE_BITS = 20
# Ends of reads that a next read may continue; two a batch are noted. Few, because among many in a
# small file random reads meet one by chance.
_CANDIDATES = 16


def head_key(file: int, position: int) -> int:
    """Return the key of a position in a file."""
    return position << FILE_BITS | file


class Heads:
    """The places at which something goes on; not safe between threads.

    Attributes
    ----------
    places : dict       key -> the stream that stands there, or the length of a run of reads that is
                        too short for one yet
    candidates : deque  keys of runs, oldest first; some of them may have gone on since
    """

    def __init__(self) -> None:
        self.places: dict[int, Stream | int] = {}
        self.candidates: deque[int] = deque()

    def note(self, request: Request) -> None:
        """Remember where a read ended, if nothing is known of that place."""
        key = head_key(request.file, request.offset + request.n_bytes)
        if key not in self.places and request.op == "read":
            self.expect(key, 1)

    def expect(self, key: int, run: int) -> None:
        """Remember where a run of reads goes on, in the place of the oldest that has not."""
        self.places[key] = run
        self.candidates.append(key)
        if len(self.candidates) > _CANDIDATES:
            oldest = self.candidates.popleft()
            if isinstance(self.places.get(oldest), int):
                del self.places[oldest]
