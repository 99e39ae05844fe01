"""Let every block lie where another one belongs, for all pairs: only misses may come of it.

Follows: TigerBeetle #2681, all pairs; blocks of several files, models and tenants. On a sealed
store also as one who knows the format would do it: every sum and the index are made to fit, so that
only what the seal is bound to is left to refuse it.
Leaves out: blocks that are damaged where they lie (rot.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from tests.torture.history import NOTHING, Verdict, judge
from tests.torture.model import key_of, value_of
from tests.torture.stores import SMALL, open_sealed, open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.engine import PAGE_BYTES
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import Attributes, SsdTier, SsdTierConfig
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.frame import Header, pack, unpack
from workbench.tiering.ssd_tier.index import Entry

Open = Callable[..., SsdTier]
_VALUE_BYTES = 3000


class _Place(NamedTuple):
    """Where a block's frame lies."""

    file: str
    at: int
    n_bytes: int


def swapped(n_blocks: int = 64, open_store: Open = open_small) -> Iterator[Verdict]:
    """Copy each frame, as it is, over each other one, and ask the running store for both."""
    disk, tier = _filled(n_blocks, open_store)
    frames = [
        disk.content(place.file)[place.at :][: place.n_bytes] for place in _places(tier, n_blocks)
    ]
    for source, target in _pairs(n_blocks):
        yield _with_frame(disk, tier, source, target, frames[source])


def forged(n_blocks: int = 64) -> Iterator[Verdict]:
    """Put each block's sealed bytes, salt, number and tag under each other one's header."""
    disk, tier = _filled(n_blocks, open_sealed)
    frames = [_sealed_frame(disk, place) for place in _places(tier, n_blocks)]
    for source, target in _pairs(n_blocks):
        frame = _forged(frames[target], frames[source], is_summed=False)
        before = tier.stats().counts.misses_sealed
        verdict = _with_frame(disk, tier, source, target, frame)
        yield verdict + _refused_by_seals(tier, before + 1)


def forged_reopened(n_blocks: int = 64) -> Iterator[Verdict]:
    """Do so to all blocks at once, sums included, and reopen the store without its index.

    Each turn pairs every block with another one: all pairs, once each. Frames that no later frame
    says were synced are opened while the store is, the others when they are asked for.
    """
    disk, tier = _filled(n_blocks, open_sealed)
    before = disk.reopened()
    assert tier.put(key_of(n_blocks), b"later")
    assert tier.flush()
    places = _places(tier, n_blocks)
    frames = [_sealed_frame(disk, place) for place in places]
    synced = max(header.durable for header, _ in frames)
    n_synced = sum(header.sequence <= synced for header, _ in frames)
    for turn in range(1, n_blocks):
        others = [*frames[turn:], *frames[:turn]]
        pages = [_forged(*two, is_summed=True) for two in zip(frames, others, strict=True)]
        yield _reopened(before, places, pages, n_synced)
        yield _reopened(disk, places, pages, n_blocks)


def _reopened(
    disk: SimDisk, places: Sequence[_Place], pages: Sequence[bytes], n_by_seal: int
) -> Verdict:
    """Judge a store with forged frames and no index, of which so many are refused when asked."""
    copy = disk.reopened()
    for place, frame in zip(places, pages, strict=True):
        copy.rot(place.file, place.at, frame)
    copy.remove("index")
    tier = open_sealed(copy, copy, _config(len(places)))
    verdict = judge(tier, {key_of(number): {None} for number in range(len(places))})
    return verdict + _refused_by_seals(tier, n_by_seal)


def _filled(n_blocks: int, open_store: Open) -> tuple[SimDisk, SsdTier]:
    """Return a running store with blocks of two models and three tenants, all of one size."""
    disk = SimDisk(clock=VirtualClock())
    tier = open_store(disk, disk, _config(n_blocks))
    for number in range(n_blocks):
        owner = Attributes(bytes([number % 2]) * 32, bytes([1 + number % 3]) * 16, 7)
        assert tier.put(key_of(number), _value(number), owner)
    assert tier.flush()
    return disk, tier


def _config(n_blocks: int) -> SsdTierConfig:
    return replace(SMALL, max_blocks=2 * n_blocks, capacity_bytes=4 * SMALL.capacity_bytes)


def _value(number: int) -> bytes:
    return value_of(number, 0, _VALUE_BYTES)


def _pairs(n_blocks: int) -> Iterator[tuple[int, int]]:
    numbers = range(n_blocks)
    return ((source, target) for source in numbers for target in numbers if source != target)


def _entry(tier: SsdTier, number: int) -> Entry:
    entry = tier._core.index.get(key_of(number))
    assert entry is not None
    return entry


def _places(tier: SsdTier, n_blocks: int) -> list[_Place]:
    """Return where the frames of the first blocks lie."""
    entries = [_entry(tier, number) for number in range(n_blocks)]
    return [
        _Place(f"segment-{one.segment:05d}", one.page * PAGE_BYTES, one.n_bytes) for one in entries
    ]


def _with_frame(disk: SimDisk, tier: SsdTier, source: int, target: int, frame: bytes) -> Verdict:
    """Let a frame lie in the target's place while both are asked for, and put all of it back."""
    key, entry = key_of(target), _entry(tier, target)
    name, at = f"segment-{entry.segment:05d}", entry.page * PAGE_BYTES
    before = disk.content(name)[at : at + entry.n_bytes]
    disk.rot(name, at, frame)
    verdict = judge(tier, {key: {None}, key_of(source): {_value(source)}})
    disk.rot(name, at, before)
    tier._core.strays.take_aside(key)
    tier._core.index.put(key, entry)
    return verdict


def _sealed_frame(disk: SimDisk, place: _Place) -> tuple[Header, bytes]:
    frame = disk.content(place.file)[place.at : place.at + place.n_bytes]
    header = unpack(frame)
    return header, frame[PAGE_BYTES : PAGE_BYTES + header.stored_bytes]


def _forged(here: tuple[Header, bytes], other: tuple[Header, bytes], is_summed: bool) -> bytes:
    """Return the pages of a frame that says it is this block, and holds the other's bytes.

    ``is_summed``: its sum is the other bytes'; without, it is the one that the index knows.
    """
    (mine, _), (theirs, stored) = here, other
    checksum = payload_sum(memoryview(stored)) if is_summed else mine.checksum
    header = pack(mine._replace(seal=theirs.seal, checksum=checksum))
    frame = header.ljust(PAGE_BYTES, b"\0") + stored
    return frame.ljust(-(-len(frame) // PAGE_BYTES) * PAGE_BYTES, b"\0")


def _refused_by_seals(tier: SsdTier, n_expected: int) -> Verdict:
    """Return what is wrong if something else, or nothing, refused the blocks."""
    found = tier.stats().counts.misses_sealed
    if found == n_expected:
        return NOTHING
    return Verdict(0, 0, [f"{found} blocks were refused by their seals, {n_expected} expected"])
