"""Keep keys in the order in which they joined, and find the oldest one quickly.

Follows: a plain dict, which keeps its order in 84 bytes a key however keys come and go; OrderedDict
takes 165. Only, finding a dict's first key passes over the gaps of all that left before it, so the
oldest keys are listed a part at a time, and a dict far too large for its keys is made anew.
Leaves out: what a key's number means, which is the policy's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import islice
from typing import Generic

from workbench.tiering.eviction.policy import Key, never

# Listing passes over a few gaps a key at most: with this part, some hundred of them an eviction.
_LISTED_FRAC = 64
_LEAST_LISTED = 64
# A dict takes 60 to 120 bytes a key after it grew. One of more has shrunk, and is made anew.
_MOST_BYTES_PER_KEY = 200


class Queue(Generic[Key]):
    """Keys, each with a number; a key is in it at most once.

    Attributes
    ----------
    numbers : dict of int   by key, the oldest one first; without a call's cost it can be read, a
                            number changed, and joined by a key that is not in it:
                            ``numbers[key] = number``
    """

    __slots__ = ("_listed", "_oldest_last", "numbers")

    def __init__(self) -> None:
        self.numbers: dict[Key, int] = {}
        # The oldest keys, and those of them that have not left or moved since they were listed.
        self._oldest_last: list[Key] = []
        self._listed: set[Key] = set()

    def __len__(self) -> int:
        return len(self.numbers)

    def leave(self, key: Key) -> int:
        """Take a key out and return its number.

        Raises
        ------
        KeyError   if it is not in it
        """
        self._listed.discard(key)
        return self.numbers.pop(key)

    def leave_oldest(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Take out the oldest key that is not pinned and return it; None if there is none.

        Cost    as `oldest`.
        """
        oldest_last, listed = self._oldest_last, self._listed
        while is_pinned is never and oldest_last:
            key = oldest_last.pop()
            if key in listed:
                listed.remove(key)
                del self.numbers[key]
                return key
        found = self.oldest(is_pinned)
        if found is not None:
            self.leave(found)
        return found

    def renew(self, key: Key) -> None:
        """Make a key the newest.

        Raises
        ------
        KeyError   if it is not in it
        """
        numbers = self.numbers
        number = numbers.pop(key)
        self._listed.discard(key)
        numbers[key] = number

    def oldest(self, is_pinned: Callable[[Key], bool] = never) -> Key | None:
        """Return the oldest key that is not pinned; it stays. None if there is none.

        Cost    O(1) amortised, and one call for each pinned key before it.
        """
        listed, oldest_last = self._listed, self._oldest_last
        while True:
            while oldest_last:
                if (key := oldest_last[-1]) not in listed:
                    oldest_last.pop()
                # Most callers pin nothing, and a call is a fifth of this.
                elif is_pinned is never or not is_pinned(key):
                    return key
                else:
                    break
            for key in reversed(oldest_last):
                if key in listed and not is_pinned(key):
                    return key
            if len(listed) == len(self.numbers):
                return None
            listed, oldest_last = self._list()

    def _list(self) -> tuple[set[Key], list[Key]]:
        """List the oldest keys anew, more than twice as many as were of no use."""
        n_keys = len(self.numbers)
        if sys.getsizeof(self.numbers) > _MOST_BYTES_PER_KEY * n_keys:
            self.numbers = dict(self.numbers.items())
        n = max(_LEAST_LISTED, 2 * len(self._listed), n_keys // _LISTED_FRAC)
        self._oldest_last = list(islice(self.numbers, n))
        self._listed = set(self._oldest_last)
        self._oldest_last.reverse()
        return self._listed, self._oldest_last
