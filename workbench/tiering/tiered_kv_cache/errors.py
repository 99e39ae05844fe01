"""Name the two ways in which a sequence cannot go on; everything else below the cache is a miss.

Follows: workbench.errors; the message carries the fix.
Leaves out: errors of the SSD tier, which never come this far up.
"""

from __future__ import annotations

from workbench.errors import WorkbenchError


class CacheFullError(WorkbenchError):
    """No slot can be had: every hot block is pinned, in use, or nowhere else. Nothing changed."""


class BlockLostError(WorkbenchError):
    """A cold block of a live sequence cannot be had any more.

    The sequence has been cut to the tokens before it; compute the rest again.

    Attributes
    ----------
    n_tokens : int   what the sequence still has
    """

    def __init__(self, n_tokens: int) -> None:
        self.n_tokens = n_tokens
        super().__init__(
            f"a cold block of the sequence could not be read; its first {n_tokens:,} tokens are "
            "left, compute the ones after them again"
        )
