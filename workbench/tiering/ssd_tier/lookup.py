"""Look blocks up for callers: every one is a verified hit or a counted miss.

Follows: a lookup that hits but cannot load becomes a miss and leaves the index, so that nobody asks
the device for it again and again; a block that moved meanwhile is looked up again instead.
Leaves out: what the bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.frame import Attributes
from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.reading import Failure, Frame, Wanted, load

# Told how many blocks from the first on are hits, and the last one's payload.
OnHits = Callable[[int, memoryview], None]

# A block that moved three times during one lookup is not worth a fourth.
_ATTEMPTS = 3
_COUNTERS = {
    Failure.DAMAGED: "misses_damaged",
    Failure.FAILED: "misses_failed",
    Failure.LATE: "misses_late",
    Failure.SEALED: "misses_sealed",
    Failure.FOREIGN: "misses_foreign",
}


def look_up(
    core: Core,
    keys: Sequence[bytes],
    buffers: Sequence[memoryview | None],
    deadline: Deadline,
    attributes: Attributes | None = None,
    on_hits: OnHits | None = None,
) -> list[Frame | None]:
    """Return the frames of the keys in their order, None for each miss; count them all.

    Parameters
    ----------
    buffers : sequence of memoryview or None   where the payloads are wanted
    attributes : Attributes or None            demanded fingerprint, tenant and codec
    on_hits : callable or None                 told meanwhile how many from the first on are hits
    """
    frames: list[Frame | None] = [None] * len(keys)
    steps = dict.fromkeys(("misses_absent", *_COUNTERS.values()), 0)
    open_ones = list(range(len(keys)))
    for attempt in range(_ATTEMPTS):
        entries = core.index.get_many([keys[i] for i in open_ones])
        known = [(i, entry) for i, entry in zip(open_ones, entries, strict=True) if entry]
        steps["misses_absent"] += len(open_ones) - len(known)
        # What `Wanted(...)` does, at half the price: the device waits meanwhile.
        wanted = [
            tuple.__new__(Wanted, (keys[i], entry, buffers[i], attributes)) for i, entry in known
        ]
        on_frame = _Hits(on_hits, keys) if on_hits is not None else None
        loaded, on_hits = load(core, wanted, deadline, on_frame), None
        open_ones = []
        for (i, entry), answer in zip(known, loaded, strict=True):
            if isinstance(answer, Frame):
                frames[i] = answer
            elif answer is Failure.FOREIGN:
                steps["misses_foreign"] += 1
            elif attempt + 1 < _ATTEMPTS and _moved(core, keys[i], entry):
                open_ones.append(i)
            else:
                _forget(core, keys[i], entry)
                steps[_COUNTERS[answer]] += 1
        if not open_ones:
            break
    _count(core, frames, steps)
    return frames


class _Hits:
    """Counts frames that are those of the keys in their order."""

    def __init__(self, on_hits: OnHits, keys: Sequence[bytes]) -> None:
        self._on_hits = on_hits
        self._keys = keys
        self._n_hits = 0

    def __call__(self, frame: Frame) -> bool:
        """Tell of one more; False if it is not the next."""
        if frame.header.key != self._keys[self._n_hits]:
            return False
        self._n_hits += 1
        self._on_hits(self._n_hits, frame.payload)
        return True


def _moved(core: Core, key: bytes, entry: Entry) -> bool:
    now = core.index.get(key)
    return now is None or now.sequence != entry.sequence


def _forget(core: Core, key: bytes, entry: Entry) -> None:
    if core.index.remove(key, entry.sequence) is not None:
        core.strays.set_aside(key, entry)
        core.counters.add(blocks_forgotten=1)


def _count(core: Core, frames: Sequence[Frame | None], steps: dict[str, int]) -> None:
    hits = [frame.header for frame in frames if frame is not None]
    core.index.touch((header.key, header.sequence) for header in hits)
    core.counters.add(
        lookups=len(frames),
        hits=len(hits),
        misses=len(frames) - len(hits),
        hit_bytes=sum(header.stored_bytes for header in hits),
        **steps,
    )
