"""Bring blocks of a prefix into their slots, frame by frame, behind the caller's back.

Follows: layer-wise loading; the first layers of all blocks come first, so that they can be attended
while later layers are read. A block that fails or comes late leaves the directory again.
Leaves out: which blocks (directory.py), what a shorter prefix means to its sequence (load.py).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import NamedTuple

from workbench.tiering.closing import Closing
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier, FrameAt
from workbench.tiering.tiered_kv_cache.directory import Directory
from workbench.tiering.tiered_kv_cache.slab import HotSlab

# Read by one call at most, unless the first frames of all blocks are more: the device is kept
# waiting for about a millisecond between two calls, and a load can be given up there.
_CALL_BYTES = 256 << 20
# Read by a call of their own, which begins at once: Python takes a millisecond to ask for all 128
# frames of 4,096 tokens, and the device as long for these.
_LEAD_BYTES = 8 << 20
# Only if all frames are so many times as many.
_LEADS = 4


class Fill(NamedTuple):
    """A block whose bytes are to be read into a slot."""

    key: bytes
    slot: int


class LoadJob:
    """The blocks of one load that are read; ``late`` once its deadline has passed."""

    def __init__(self, fills: Sequence[Fill], end: float | None) -> None:
        self.fills = list(fills)
        self.end = end
        self.cancelled = False

    @property
    def late(self) -> bool:
        """Return whether nothing more is wanted."""
        return self.cancelled or (self.end is not None and time.monotonic() >= self.end)


class Loader(Closing):
    """One job at a time, on a thread or two. ``changed`` is the lock around the directory."""

    def __init__(
        self, directory: Directory, slab: HotSlab, cold: ColdTier, changed: threading.Condition
    ) -> None:
        self._directory = directory
        self._slab = slab
        self._cold = cold
        self._changed = changed
        self._waiting: deque[LoadJob] = deque()
        # How many frames of each block on its way are here; whole blocks are not in it.
        self._n_here: dict[bytes, int] = {}
        self._stopping = False
        self._others = ThreadPoolExecutor(1, "kv-loader-rest")
        self._is_lead_here = False
        self._thread = threading.Thread(target=self._work, name="kv-loader", daemon=True)
        self._thread.start()

    def start(self, job: LoadJob) -> None:
        """Read a job's blocks after those of earlier jobs. The lock is held."""
        self._n_here.update((fill.key, 0) for fill in job.fills)
        self._waiting.append(job)
        self._changed.notify_all()

    @property
    def is_busy(self) -> bool:
        """Return whether any block is on its way. The lock is held."""
        return bool(self._n_here)

    def is_coming(self, key: bytes, frame: int) -> bool:
        """Return whether a frame of a block is on its way, but not here. The lock is held."""
        return self._n_here.get(key, frame + 1) <= frame

    def wait_for(self, keys: Collection[bytes], frame: int, timeout_s: float | None = None) -> None:
        """Wait until a frame of each of the blocks is here, or will not come. The lock is held."""
        # Of all blocks, each time: one that is cold now may be on its way when the wait ends.
        self._changed.wait_for(
            lambda: not any(self.is_coming(key, frame) for key in keys), timeout_s
        )

    def close(self) -> None:
        """Stop once the read under way has ended; what is not here by then leaves again."""
        with self._changed:
            self._stopping = True
            for job in self._waiting:
                job.cancelled = True
            self._changed.notify_all()
        self._thread.join()
        self._others.shutdown()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                job = self._waiting.popleft()
            self._run(job)

    def _run(self, job: LoadJob) -> None:
        fills = job.fills
        row_bytes = len(fills) * self._slab.block_bytes // self._slab.n_frames
        for frames in _groups(self._slab.n_frames, max(1, _CALL_BYTES // max(1, row_bytes))):
            if fills:
                fills = self._settle(fills, self._read(job, fills, frames), frames.stop)

    def _read(self, job: LoadJob, fills: Sequence[Fill], frames: range) -> list[bool]:
        """Read some frames of every block; return which blocks have all of them now."""
        if job.late or self._stopping:
            return [False] * len(fills)
        here = self._read_lead_and_rest(fills, frames)
        return [all(here[at :: len(fills)]) for at in range(len(fills))]

    def _read_lead_and_rest(self, fills: Sequence[Fill], frames: range) -> list[bool]:
        """Read the lead, and meanwhile ask for the rest, if there is enough of it."""
        n_lead = _LEAD_BYTES * self._slab.n_frames // self._slab.block_bytes
        if not 0 < _LEADS * n_lead <= len(fills) * len(frames):
            return self._read_some(fills, frames, 0, None)
        self._is_lead_here = False
        rest = self._others.submit(self._read_some, fills, frames, n_lead, None)
        here = self._read_some(fills, frames, 0, n_lead)
        self._is_lead_here = all(here)
        return here + rest.result()

    def _read_some(
        self, fills: Sequence[Fill], frames: range, first: int, stop: int | None
    ) -> list[bool]:
        """Read some of all frames: the first one of every block, the second ones, and so on."""
        frame_at = self._slab.frame
        places = ((fill, frame) for frame in frames for fill in fills)
        wanted = [
            FrameAt(fill.key, frame, frame_at(fill.slot, frame))
            for fill, frame in islice(places, first, stop)
        ]
        here = self._cold.get(wanted, partial(self._note, fills, frames, first))
        if not all(here):
            self._keep_missed(fills, first, wanted, here)
        return here

    def _note(
        self, fills: Sequence[Fill], frames: range, first: int, n_hits: int, _payload: memoryview
    ) -> None:
        """Note while later frames are read that the first of every block are here."""
        n_rows, rest = divmod(first + n_hits, len(fills))
        if rest == 0 and n_rows < len(frames) and (self._is_lead_here or not first):
            with self._changed:
                self._n_here.update((fill.key, frames.start + n_rows) for fill in fills)
                self._changed.notify_all()

    def _keep_missed(
        self, fills: Sequence[Fill], first: int, wanted: Sequence[FrameAt], here: Sequence[bool]
    ) -> None:
        """Keep slots that a late read may still write to."""
        with self._changed:
            for at, (one, is_here) in enumerate(zip(wanted, here, strict=True), first):
                if not is_here:
                    slot = fills[at % len(fills)].slot
                    self._directory.slots.hold_while_alive(slot, one.view)

    def _settle(self, fills: list[Fill], here: Sequence[bool], n_frames: int) -> list[Fill]:
        """Note which blocks have so many frames; return those that are worth the next ones.

        What lies behind a block that failed cannot be reached by this prefix any more.
        """
        n_good = here.index(False) if False in here else len(fills)
        is_last = n_frames == self._slab.n_frames
        with self._changed:
            if not is_last:
                self._n_here.update((fill.key, n_frames) for fill in fills[:n_good])
            for at in range(0 if is_last else n_good, len(fills)):
                key, slot = fills[at]
                self._n_here.pop(key, None)
                self._directory.arrived(key, slot, whole=at < n_good)
            self._changed.notify_all()
        return fills[:n_good]


def _groups(n_frames: int, size: int) -> list[range]:
    """Return all frames in groups of a size."""
    return [range(at, min(n_frames, at + size)) for at in range(0, n_frames, size)]
