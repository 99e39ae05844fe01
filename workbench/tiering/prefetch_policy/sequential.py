"""Load the next blocks of the prefix that is being read.

Follows: the read-ahead of file systems: whoever reads block n will read n + 1.
Leaves out: the requests that wait.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from workbench.errors import UsageError

Key = TypeVar("Key", bound=Hashable)


class Sequential:
    """Wants the ``depth_blocks`` blocks behind the one in use."""

    name = "sequential"

    def __init__(self, depth_blocks: int = 8) -> None:
        if depth_blocks < 1:
            raise UsageError(
                f"prefetch policy sequential: depth_blocks={depth_blocks} must be at least 1"
            )
        self._depth_blocks = depth_blocks

    def want(
        self, current: Sequence[Key], position: int, waiting: Sequence[Sequence[Key]]
    ) -> list[Key]:
        """Return the next blocks of the current request."""
        return list(current[position + 1 : position + 1 + self._depth_blocks])
