"""Load nothing ahead: every block is read when it is needed.

Follows: demand paging, the baseline of every prefetch.
Leaves out: everything that could be foreseen.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


class NoPrefetch:
    """Wants nothing."""

    name = "none"

    def want(
        self, current: Sequence[Key], position: int, waiting: Sequence[Sequence[Key]]
    ) -> list[Key]:
        """Return no block."""
        return []
