"""Load what this sequence still needs, then what the waiting requests will need.

Follows: CachedAttention's look-ahead over the scheduler's queue. It is no guess: the prefixes of
requests that have arrived are known.
Leaves out: requests that have not arrived yet.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from workbench.errors import UsageError

Key = TypeVar("Key", bound=Hashable)


class Predicted:
    """Wants up to ``depth_blocks`` blocks: the rest of the current prefix, then those in line."""

    name = "predicted"

    def __init__(self, depth_blocks: int = 64) -> None:
        if depth_blocks < 1:
            raise UsageError(
                f"prefetch policy predicted: depth_blocks={depth_blocks} must be at least 1"
            )
        self._depth_blocks = depth_blocks

    def want(
        self, current: Sequence[Key], position: int, waiting: Sequence[Sequence[Key]]
    ) -> list[Key]:
        """Return the blocks in the order in which they will be needed, each once."""
        wanted: dict[Key, None] = {}
        for prefix in (current[position + 1 :], *waiting):
            for key in prefix:
                if len(wanted) == self._depth_blocks:
                    return list(wanted)
                wanted[key] = None
        return list(wanted)
