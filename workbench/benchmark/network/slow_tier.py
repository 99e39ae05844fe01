"""An SSD tier whose reads take as long as a slower device's, for what depends on their speed.

Follows: real frames, read and verified; the answer is held back until the stated rate is kept.
Leaves out: a slow device's queueing, and its writes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from workbench.tiering.ssd_tier import Attributes, SsdTier
from workbench.tiering.ssd_tier.lookup import OnHits


class SlowTier(SsdTier):
    """Gives no more than so many bytes a second.

    Attributes
    ----------
    rate_bytes_s : float   may be changed at any time; infinite at first
    """

    rate_bytes_s = float("inf")

    def get_many(
        self,
        keys: Sequence[bytes],
        buffers: Sequence[memoryview | None] | None = None,
        attributes: Attributes | None = None,
        on_hits: OnHits | None = None,
    ) -> list[memoryview | None]:
        """Answer as the tier does, but not sooner than the rate allows; ``on_hits`` is not told."""
        start = time.perf_counter()
        payloads = super().get_many(keys, buffers, attributes)
        n_bytes = sum(payload.nbytes for payload in payloads if payload is not None)
        left_s = n_bytes / self.rate_bytes_s - (time.perf_counter() - start)
        if left_s > 0:
            time.sleep(left_s)
        return payloads
