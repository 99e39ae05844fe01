"""Count several things at one moment, in a dataclass of whole numbers, from any thread.

Follows: sums that always agree, as whoever reads gets all counters of one moment.
Leaves out: what is counted (each tier's counters.py).
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")


class Counting(Generic[C]):
    """Counters; safe to use from several threads."""

    def __init__(self, counts: C) -> None:
        """Go on from these counts, which are nobody else's."""
        self._counts = counts
        self._lock = threading.Lock()

    def add(self, **steps: int) -> None:
        """Count several things at one moment."""
        with self._lock:
            for name, step in steps.items():
                setattr(self._counts, name, getattr(self._counts, name) + step)

    def read(self) -> C:
        """Return the counters as they are at one moment."""
        with self._lock:
            return replace(self._counts)
