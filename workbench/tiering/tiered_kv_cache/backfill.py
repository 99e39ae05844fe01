"""Bring the blocks of a prefix into memory from the last one to the first, until told to stop.

Follows: whoever computes from the front meets what is loaded from the back; a block that fails is
left out, and computed by whoever comes to it.
Leaves out: the reading (loading.py), the computing (unified_tier/filling.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache.core import Core
from workbench.tiering.tiered_kv_cache.found import Tier
from workbench.tiering.tiered_kv_cache.loading import Fill, LoadJob

# Blocks asked for at once: what is under way when both ends meet is computed all the same.
_STEP_BLOCKS = 1


class Backfill(Closing):
    """Loads the cold ones of some blocks, the last first; all of them stay hot until it is closed.

    Attributes
    ----------
    loaded_blocks : int   that were asked for and came ...
    loading_s : float     in so many seconds
    """

    def __init__(self, core: Core, keys: Sequence[bytes], step_blocks: int = _STEP_BLOCKS) -> None:
        """Begin at once. The blocks must be known; use `TieredKVCache.backfill`."""
        self._core = core
        self._keys = keys
        self._step = step_blocks
        self._job = LoadJob((), None)
        self._stopping = False
        self.loaded_blocks = 0
        self.loading_s = 0.0
        with core.changed:
            for key in keys:
                core.directory.claims.refer(key)
        threading.Thread(target=self._work, name="kv-backfill", daemon=True).start()

    def _work(self) -> None:
        core, last = self._core, self._core.layout.n_frames - 1
        for stop in range(len(self._keys), 0, -self._step):
            with core.changed:
                if self._stopping:
                    break
                start = time.perf_counter()
                asked = self._ask(self._keys[max(0, stop - self._step) : stop])
                core.wait_for(asked, last)
                if not self._stopping:
                    self.loaded_blocks += sum(map(core.is_whole, asked))
                    self.loading_s += time.perf_counter() - start
        with core.changed:
            core.changed.wait_for(lambda: self._stopping)
            for key in reversed(self._keys):
                core.directory.unrefer(key)

    def _ask(self, keys: Sequence[bytes]) -> list[bytes]:
        """Ask for the cold ones of some blocks; return which they are. The lock is held."""
        core = self._core
        cold = [key for key in keys if core.directory.where(key) is Tier.COLD]
        found = [core.directory.access(key) for key in cold]
        core.settle()
        fills = [Fill(one.key, one.fill) for one in found if one.fill is not None]
        if fills and core.behind is not None:
            self._job = LoadJob(fills, None)
            core.behind.loader.start(self._job)
        return [fill.key for fill in fills]

    def close(self) -> None:
        """Ask for no more, and let go of the blocks; never waits for the device."""
        with self._core.changed:
            self._stopping = self._job.cancelled = True
            self._core.changed.notify_all()
