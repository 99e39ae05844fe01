"""Decide how weights and KV share memory, from what each was waited for.

Follows: whoever is waited for longer gets more, a step at a time; hysteresis, since moving memory
costs reads: the difference must be clear, worth it, and there in two windows one after the other.
Leaves out: moving memory (balance.py).
"""

from __future__ import annotations

from dataclasses import dataclass

# A window is long enough to see every layer and cold block several times.
WINDOW_TOKENS = 16
# One wait must be so many times the other, ...
_CLEAR = 1.5
# ... and such a part of the time, or nothing is to be gained.
_WORTH_FRAC = 0.02
_WINDOWS_ALIKE = 2


@dataclass(frozen=True, slots=True)
class Stalls:
    """What was waited for so far, in seconds.

    Attributes
    ----------
    weights_s : float   for layers of weights
    kv_s : float        for keys and values: loads of prefixes, and cold blocks while attending
    elapsed_s : float   in all
    """

    weights_s: float
    kv_s: float
    elapsed_s: float

    def since(self, earlier: Stalls) -> Stalls:
        """Return what came after an earlier moment."""
        return Stalls(
            self.weights_s - earlier.weights_s,
            self.kv_s - earlier.kv_s,
            self.elapsed_s - earlier.elapsed_s,
        )


class Split:
    """KV's share of memory that only so many bytes of can be had. Not thread-safe.

    Attributes
    ----------
    kv_bytes : int     the target; weights have the rest
    step_bytes : int   that it moves at once
    """

    def __init__(self, least_bytes: int, most_bytes: int, kv_bytes: int, step_bytes: int) -> None:
        """Begin with a target; all later ones are within least and most."""
        self._least, self._most = least_bytes, most_bytes
        self.step_bytes = step_bytes
        self.kv_bytes = min(most_bytes, max(least_bytes, kv_bytes))
        self._needed = 0
        self._leaning = 0

    @property
    def most_bytes(self) -> int:
        """Return the most that KV may ever have."""
        return self._most

    def observe(self, window: Stalls) -> bool:
        """Note a window's stalls; return whether the target moved."""
        direction = _direction(window)
        in_a_row = abs(self._leaning) + 1 if direction * self._leaning > 0 else 1
        self._leaning = direction * in_a_row
        if not direction or in_a_row < _WINDOWS_ALIKE:
            return False
        self._leaning = 0
        return self.aim(self.kv_bytes + direction * self.step_bytes)

    def aim(self, kv_bytes: int) -> bool:
        """Set the target, as far as it may go; return whether that changed it."""
        before = self.kv_bytes
        self.kv_bytes = min(self._most, max(self._least, self._needed, kv_bytes))
        return self.kv_bytes != before

    def need(self, kv_bytes: int) -> bool:
        """Give KV no less than so much until told otherwise; return whether the target moved."""
        self._needed = min(self._most, kv_bytes)
        return self.aim(self.kv_bytes)

    def refuse_above(self, kv_bytes: int) -> None:
        """Never give KV more than so much."""
        self._most = max(self._least, min(self._most, kv_bytes))
        self.aim(self.kv_bytes)


def _direction(window: Stalls) -> int:
    """Return 1 to give KV more, -1 to give it less, 0 to leave it."""
    more, less = max(window.kv_s, window.weights_s), min(window.kv_s, window.weights_s)
    if more <= _WORTH_FRAC * window.elapsed_s or more < _CLEAR * less:
        return 0
    return 1 if window.kv_s > window.weights_s else -1
