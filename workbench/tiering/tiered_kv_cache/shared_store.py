"""Share an SSD tier's blocks over the network: writes go there too, what a prefix lacks comes.

Follows: promotion into the next tier above; a block that was brought lies on this machine's SSD
like any other, so that a network that dies takes nothing away from sequences that are open.
Leaves out: when to bring (cache.py), and everything about servers (distributed_tier).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.ssd_tier import Attributes, SsdTier, StoreStats
from workbench.tiering.ssd_tier.lookup import OnHits
from workbench.tiering.tiered_kv_cache.block_key import frame_keys

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from workbench.tiering.distributed_tier import NetworkTier

# Brought at once: enough for several connections, few enough to stop soon.
_FRAMES_AT_ONCE = 16


class Budget(NamedTuple):
    """How long the network may take.

    Attributes
    ----------
    total_s : float     for all that is brought
    request_s : float   for one batch of frames, and for asking which there are
    """

    total_s: float
    request_s: float


class SharedStore:
    """An SSD tier with a network tier below it; used as the SSD tier is. Safe between threads."""

    def __init__(self, ssd: SsdTier, network: NetworkTier) -> None:
        """Use both; both stay open."""
        self._ssd = ssd
        self._network = network
        self._lock = threading.Lock()
        self.brought_blocks = 0
        self.brought_bytes = 0

    def put_many(self, blocks: Iterable[tuple[bytes, Buffer, Attributes]]) -> list[bool]:
        """Store blocks on the SSD, and queue copies of them for the network."""
        offers = list(blocks)
        stored = self._ssd.put_many(offers)
        for key, value, attributes in offers:
            self._network.put(key, value, attributes)
        return stored

    def get_many(
        self,
        keys: Sequence[bytes],
        buffers: Sequence[memoryview | None] | None = None,
        attributes: Attributes | None = None,
        on_hits: OnHits | None = None,
    ) -> list[memoryview | None]:
        """Return what the SSD has."""
        return self._ssd.get_many(keys, buffers, attributes, on_hits)

    def contains_all(self, keys: Iterable[bytes]) -> bool:
        """Return whether all of some blocks are in the SSD tier's index."""
        return self._ssd.contains_all(keys)

    def delete(self, key: bytes) -> bool:
        """Forget a block on this machine."""
        return self._ssd.delete(key)

    def flush(self) -> bool:
        """Make everything on the SSD survive power loss; return whether it does."""
        return self._ssd.flush()

    def stats(self) -> StoreStats:
        """Return the SSD tier's numbers."""
        return self._ssd.stats()

    def bring(
        self, keys: Sequence[bytes], n_frames: int, attributes: Attributes, budget: Budget
    ) -> list[bytes]:
        """Bring the blocks of a prefix, as far as the network has them; return those that came.

        Parameters
        ----------
        keys : sequence of bytes   of blocks, in the prefix's order
        n_frames : int             of each block
        budget : Budget            it is over by then
        """
        end = time.monotonic() + budget.total_s
        try:
            lacking = {key: self._lacking(key, n_frames) for key in keys}
            wanted = self._reachable(lacking, budget.request_s)
            n_bytes = self._copy(wanted, attributes, end, budget.request_s)
            came = [key for key in keys if lacking[key] and not self._lacking(key, n_frames)]
        except (StorageError, MemoryError):
            # A fork, or memory for the SSD tier's own work: as cold_tier.py has it, a miss.
            return []
        with self._lock:
            self.brought_blocks += len(came)
            self.brought_bytes += n_bytes
        return came

    def reachable(self, keys: Sequence[bytes], n_frames: int, budget_s: float) -> int:
        """Return how many blocks of a prefix the network seems to have whole; a round trip."""
        try:
            known = self._network.contains_many(
                [name for key in keys for name in frame_keys(key, n_frames)], budget_s
            )
        except MemoryError:
            return 0
        whole = (all(known[at : at + n_frames]) for at in range(0, len(known), n_frames))
        return sum(1 for _ in itertools.takewhile(bool, whole))

    def _lacking(self, key: bytes, n_frames: int) -> list[bytes]:
        return [name for name in frame_keys(key, n_frames) if not self._ssd.contains(name)]

    def _reachable(self, lacking: Mapping[bytes, list[bytes]], budget_s: float) -> list[bytes]:
        """Return the frames to bring: up to the first block that the network has not whole."""
        names = [name for several in lacking.values() for name in several]
        if not names:
            return []
        known = dict(zip(names, self._network.contains_many(names, budget_s), strict=True))
        wanted: list[bytes] = []
        for several in lacking.values():
            if not all(known[name] for name in several):
                break
            wanted += several
        return wanted

    def _copy(
        self, names: Sequence[bytes], attributes: Attributes, end: float, request_s: float
    ) -> int:
        """Copy frames to the SSD until one is missing; return their bytes."""
        n_bytes = 0
        for at in range(0, len(names), _FRAMES_AT_ONCE):
            part = names[at : at + _FRAMES_AT_ONCE]
            left_s = min(request_s, end - time.monotonic())
            frames = self._network.get_frames(part, None, attributes, left_s)
            came = [
                (name, frame.stored, frame.header.attributes())
                for name, frame in zip(part, frames, strict=True)
                if frame is not None
            ]
            stored = self._ssd.put_many(came)
            n_bytes += sum(one[1].nbytes for one, is_in in zip(came, stored, strict=True) if is_in)
            if len(came) < len(part) or not all(stored):
                break
        return n_bytes
