"""Learn by measuring whether reading ahead pays for reads of a size, and pause it where not.

Follows: trial and rest: a deep queue of demand reads keeps a device busy by itself, and then a copy
and a second thread only cost; a reader that computes in between gains. Both show in the time that
reads take, so that is what decides.
Leaves out: which bytes to read ahead (read_ahead.py).
"""

from __future__ import annotations

# Weight of the newest sample.
_WEIGHT = 1 / 8
# More than this times the mean counts as this much.
_OUTLIER = 4
# Batches served ahead before a size is judged: one may be an accident.
_TRIAL = 8
# Reading ahead has to take a tenth off.
_PAYS_BELOW = 0.9
# Batches without it after it has not paid, doubled each time: a trial costs something too.
_REST, _LONGEST_REST = 64, 4096


class Gain:
    """Nanoseconds a byte of batches of about one size, read ahead and not."""

    def __init__(self) -> None:
        self.direct_ns = 0.0
        self.ahead_ns = 0.0
        self._n_ahead = self._memory_ns = self._memory_bytes = 0
        self._resting = 0
        self._next_rest = _REST

    @property
    def resting(self) -> bool:
        """Return whether nothing is to be read ahead for now."""
        return self._resting > 0

    def note_direct(self, took_ns: int, n_bytes: int) -> None:
        """Note a batch that the device served alone."""
        self.direct_ns = _mean(self.direct_ns, took_ns / n_bytes)

    def rest(self) -> None:
        """Note a batch that was not looked at."""
        self._resting = max(0, self._resting - 1)

    def note_memory(self, took_ns: int, n_bytes: int) -> None:
        """Note a read that found everything in memory; it counts with the next batch."""
        self._memory_ns += took_ns
        self._memory_bytes += n_bytes

    def note_ahead(self, took_ns: int, n_bytes: int) -> None:
        """Note a batch of which at least a part had been read ahead; judge after some."""
        took_ns, self._memory_ns = took_ns + self._memory_ns, 0
        n_bytes, self._memory_bytes = n_bytes + self._memory_bytes, 0
        self.ahead_ns = _mean(self.ahead_ns, took_ns / n_bytes)
        self._n_ahead += 1
        if self._resting or self._n_ahead < _TRIAL or not self.direct_ns:
            return
        if self.ahead_ns > _PAYS_BELOW * self.direct_ns:
            self._resting = self._next_rest
            self._next_rest = min(2 * self._next_rest, _LONGEST_REST)
            self._n_ahead = 0
            self.ahead_ns = 0.0
        else:
            self._next_rest = _REST


def _mean(mean: float, sample: float) -> float:
    """Return a running mean that one outlier, as of a hung device, does not carry away."""
    return mean + (min(sample, _OUTLIER * mean) - mean) * _WEIGHT if mean else sample
