"""Keep keys in the order in which they joined, and find the oldest one quickly.

Follows: a plain dict, which keeps its order in 84 bytes a key however keys come and go; OrderedDict
takes 165. Only, finding a dict's first key passes over the gaps of all that left before it, so the
oldest keys are listed a part at a time, and a dict of more gaps than keys is made anew.
Leaves out: what a key's number means, which is the policy's.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Generic

from workbench.tiering.eviction.policy import Key, never

# Listing passes over as many gaps as keys at most: with this part, 64 of them an eviction.
_LISTED_FRAC = 64
_LEAST_LISTED = 64


class Queue(Generic[Key]):
    """Keys, each with a number; a key is in it at most once.

    Attributes
    ----------
    numbers : dict of int   by key, the oldest one first; without a call's cost it can be read, and
                            joined by a key that is not in it: ``numbers[key] = number``
    """

    __slots__ = ("_listed", "_n_gaps", "_oldest_last", "numbers")

    def __init__(self) -> None:
        self.numbers: dict[Key, int] = {}
        # The oldest keys, and those of them that have not left or moved since they were listed.
        self._oldest_last: list[Key] = []
        self._listed: set[Key] = set()
        self._n_gaps = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def join(self, key: Key, number: int = 0) -> None:
        """Add a key that is not in it, as the newest."""
        self.numbers[key] = number

    def renumber(self, key: Key, number: int) -> None:
        """Give a key another number; it stays where it is."""
        self.numbers[key] = number

    def leave(self, key: Key) -> int:
        """Take a key out and return its number.

        Raises
        ------
        KeyError   if it is not in it
        """
        number = self.numbers.pop(key)
        self._listed.discard(key)
        self._n_gaps += 1
        return number

    def leave_oldest(self) -> Key:
        """Take the oldest key out and return it; there must be one."""
        listed, oldest_last = self._listed, self._oldest_last
        if not (oldest_last and oldest_last[-1] in listed):
            found = self.oldest(never)
            assert found is not None, "the queue is empty"
            listed, oldest_last = self._listed, self._oldest_last
        key = oldest_last.pop()
        del self.numbers[key]
        listed.remove(key)
        self._n_gaps += 1
        return key

    def renew(self, key: Key) -> None:
        """Make a key the newest.

        Raises
        ------
        KeyError   if it is not in it
        """
        numbers = self.numbers
        number = numbers.pop(key)
        self._listed.discard(key)
        self._n_gaps += 1
        numbers[key] = number

    def oldest(self, is_pinned: Callable[[Key], bool]) -> Key | None:
        """Return the oldest key that is not pinned; it stays. None if there is none.

        Cost    O(1) amortised, and one call for each pinned key before it.
        """
        listed, oldest_last = self._listed, self._oldest_last
        if oldest_last and (key := oldest_last[-1]) in listed:
            # Most callers pin nothing, and a call is a fifth of this.
            is_free = is_pinned is never or not is_pinned(key)
            if is_free:
                return key
        while True:
            while oldest_last and oldest_last[-1] not in listed:
                oldest_last.pop()
            for key in reversed(oldest_last):
                if key in listed and not is_pinned(key):
                    return key
            if len(listed) == len(self.numbers):
                return None
            listed, oldest_last = self._list()

    def _list(self) -> tuple[set[Key], list[Key]]:
        """List the oldest keys anew, more than twice as many as were of no use."""
        if self._n_gaps > len(self.numbers):
            self.numbers = dict(self.numbers.items())
            self._n_gaps = 0
        n = max(_LEAST_LISTED, 2 * len(self._listed), len(self.numbers) // _LISTED_FRAC)
        self._oldest_last = list(islice(self.numbers, n))
        self._listed = set(self._oldest_last)
        self._oldest_last.reverse()
        return self._listed, self._oldest_last
