"""Count what reading ahead was worth, and tell from it whether it is to be trusted.

Follows: the hit rate of what was read ahead decides how much is.
Leaves out: locking, which is whoever counts (read_ahead.py).
"""

from __future__ import annotations

from workbench.tiering.async_io.read_ahead_stats import ReadAheadStats
from workbench.tiering.async_io.stream import Chunk

# Share of chunks that were used, over about the last 16: below it read-ahead is doubted.
_TRUSTED_RATE = 0.5
_RATE_WEIGHT = 1 / 8


class ReadAheadCounts:
    """Reads by where their bytes came from, chunks by what became of them."""

    def __init__(self) -> None:
        self._n: dict[str, int] = dict.fromkeys(
            ("reads", "hits", "partial", "misses", "hit_bytes", "chunks", "used", "wasted"), 0
        ) | dict.fromkeys(("failed", "fetched_bytes", "wasted_bytes"), 0)
        # Apart, as most reads are counted here and nowhere else.
        self._missed = 0
        self._rate = 1.0

    @property
    def trusted(self) -> bool:
        """Return whether enough of what was read ahead lately has been used."""
        return self._rate >= _TRUSTED_RATE

    def missed(self, n_reads: int) -> None:
        """Count reads of which nothing was looked for."""
        self._missed += n_reads

    def got(self, n_bytes: int, wanted_bytes: int) -> None:
        """Count a read that got so many of its bytes from memory."""
        n = self._n
        n["reads"] += 1
        n["hit_bytes"] += n_bytes
        n["hits" if n_bytes == wanted_bytes else "partial" if n_bytes else "misses"] += 1

    def fetched(self, n_bytes: int) -> None:
        """Count a chunk that is read ahead."""
        self._n["chunks"] += 1
        self._n["fetched_bytes"] += n_bytes

    def retired(self, chunk: Chunk) -> None:
        """Count a chunk that leaves its window, and learn from whether it was used."""
        n = self._n
        n["wasted_bytes"] += chunk.n_bytes - chunk.used_bytes
        if chunk.state == "failed":
            n["failed"] += 1
        elif chunk.used_bytes:
            n["used"] += 1
            self._rate += (1 - self._rate) * _RATE_WEIGHT
        else:
            n["wasted"] += 1
            self._rate -= self._rate * _RATE_WEIGHT

    def stats(self, held: int) -> ReadAheadStats:
        """Return the counters so far, with the number of chunks that are held."""
        passed = {name: self._n[name] + self._missed for name in ("reads", "misses")}
        return ReadAheadStats(**self._n | passed, held=held, rate=self._rate)
