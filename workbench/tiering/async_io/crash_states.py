"""Work out what a disk may hold after a crash, from the log of what was done to it.

Follows: ALICE (Pillai et al., OSDI'14) and B3 (OSDI'18): between two syncs any subset of the writes
may have reached the disk, each whole or torn; names change atomically, in any subset.
Leaves out: writes that land in the wrong place or change on the way (fault_io.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

SECTOR_BYTES = 512
# How likely each unsynced change is to be there, drawn anew for every image: a crash mostly takes
# all or nothing, and the odd states lie next to those.
_CHANCES = (0.0, 0.1, 0.5, 0.9, 1.0)
_TORN_CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class Created:
    """A file was made with this many zeros; its length is durable as soon as its name is."""

    name: str
    inode: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """A file took a new name, over whatever had it."""

    old: str
    new: str
    inode: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A name went away."""

    name: str


@dataclass(frozen=True, slots=True)
class Wrote:
    """Bytes were written into a file, and are not durable yet."""

    inode: int
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Synced:
    """A file was flushed; that covers what was logged before position ``covers``."""

    inode: int
    covers: int


@dataclass(frozen=True, slots=True)
class SyncedFolder:
    """The names were made durable."""


@dataclass(frozen=True, slots=True)
class Rotted:
    """The disk changed by itself: bytes at an offset, or the file's length (``cut`` >= 0)."""

    inode: int
    offset: int
    content: bytes
    cut: int = -1


NameChange = Created | Replaced | Removed
Event = NameChange | Wrote | Synced | SyncedFolder | Rotted


@dataclass(frozen=True, slots=True)
class Origin:
    """How a crash image came about, to repeat it and to judge it.

    Attributes
    ----------
    position : int      log entries that had been completed when the crash came
    lost : tuple        positions of unsynced changes that did not reach the disk
    torn : tuple        positions of writes that reached it in part
    """

    position: int
    lost: tuple[int, ...] = ()
    torn: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """What a disk holds: names to inodes, inodes to bytes."""

    names: dict[str, int]
    contents: dict[int, bytes]
    origin: Origin


@dataclass(slots=True)
class _Durable:
    """What is certain to survive at one position of the log, and what is not."""

    names: dict[str, int]
    contents: dict[int, bytes]
    position: int = 0
    writes: dict[int, Wrote] = field(default_factory=dict)
    changes: dict[int, NameChange] = field(default_factory=dict)

    def advance(self, event: Event) -> None:
        """Take the next log entry into account."""
        match event:
            case Wrote():
                self.writes[self.position] = event
            case Synced():
                self._settle(event)
            case SyncedFolder():
                for change in self.changes.values():
                    _rename(self.names, change)
                self.changes.clear()
            case Rotted():
                self._rot(event)
            case _:
                self.changes[self.position] = event
                if isinstance(event, Created):
                    self.contents[event.inode] = bytes(event.n_bytes)
        self.position += 1

    def _settle(self, sync: Synced) -> None:
        settled = {
            at: write
            for at, write in self.writes.items()
            if write.inode == sync.inode and at < sync.covers
        }
        for at in settled:
            del self.writes[at]
        content = bytearray(self.contents[sync.inode])
        for write in settled.values():
            put(content, write.offset, write.content)
        self.contents[sync.inode] = bytes(content)

    def _rot(self, rot: Rotted) -> None:
        content = bytearray(self.contents[rot.inode])
        if rot.cut >= 0:
            del content[rot.cut :]
        else:
            put(content, rot.offset, rot.content)
        self.contents[rot.inode] = bytes(content)

    def state(self, kept: dict[int, Sequence[slice]], cut: int | None = None) -> State:
        """Return the disk with these unsynced changes.

        Parameters
        ----------
        kept : dict of int to slices   position -> parts of the write's bytes that arrived, empty
                                       for a change of names
        cut : int or None              length of the file whose creation was under way
        """
        names, contents = dict(self.names), dict(self.contents)
        for at, change in self.changes.items():
            if at in kept:
                _rename(names, change)
        changed: dict[int, bytearray] = {}
        for at, write in self.writes.items():
            for part in kept.get(at, ()):
                content = changed.setdefault(write.inode, bytearray(contents[write.inode]))
                put(content, write.offset + part.start, write.content[part])
        contents.update((inode, bytes(content)) for inode, content in changed.items())
        if cut is not None:
            newest = self.changes[self.position - 1]
            assert isinstance(newest, Created)
            contents[newest.inode] = bytes(cut)
        reachable = set(names.values())
        contents = {inode: contents[inode] for inode in contents if inode in reachable}
        return State(names, contents, self._origin(kept))

    def _origin(self, kept: dict[int, Sequence[slice]]) -> Origin:
        lost = tuple(at for at in sorted([*self.writes, *self.changes]) if at not in kept)
        torn = tuple(
            at
            for at in sorted(kept)
            if at in self.writes and list(kept[at]) != _whole(self.writes[at])
        )
        return Origin(self.position, lost, torn)

    def in_creation(self) -> int | None:
        """Return the length of the file whose creation is the newest entry of the log."""
        newest = self.changes.get(self.position - 1)
        return newest.n_bytes if isinstance(newest, Created) else None


def put(content: bytearray, offset: int, piece: bytes | memoryview) -> None:
    """Write into a file's bytes; a hole before them is filled with zeros."""
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(piece)] = piece


def _rename(names: dict[str, int], change: NameChange) -> None:
    match change:
        case Created():
            names[change.name] = change.inode
        case Replaced():
            names[change.new] = change.inode
            # Only if it is still this file's: the name may have been given away since.
            if names.get(change.old) == change.inode and change.old != change.new:
                del names[change.old]
        case Removed():
            names.pop(change.name, None)


def _whole(write: Wrote) -> list[slice]:
    return [slice(0, len(write.content))]


def _sectors(write: Wrote) -> list[slice]:
    """Return the parts of a write that lie in different 512-byte sectors of the disk."""
    end = len(write.content)
    first = SECTOR_BYTES - write.offset % SECTOR_BYTES
    cuts = [0, *range(first, end, SECTOR_BYTES), end]
    return [slice(start, stop) for start, stop in itertools.pairwise(cuts)]


def sampled_states(
    start: State, log: Sequence[Event], rng: np.random.Generator, n: int, since: int = 0
) -> Iterator[State]:
    """Yield ``n`` legal states after a crash at random positions, in the order of the log.

    Parameters
    ----------
    start : State    what was durable before the log began
    since : int      first position at which the crash may come

    Cost    the log once, and a copy of each file that an image changes.
    """
    durable = _Durable(dict(start.names), dict(start.contents))
    for position in np.sort(rng.integers(since, len(log), size=n, endpoint=True)):
        while durable.position < position:
            durable.advance(log[durable.position])
        yield _sample(durable, rng)


def _sample(durable: _Durable, rng: np.random.Generator) -> State:
    chance = rng.choice(_CHANCES)
    kept: dict[int, Sequence[slice]] = {at: () for at in durable.changes if rng.random() < chance}
    for at, write in durable.writes.items():
        if rng.random() < chance:
            torn = rng.random() < _TORN_CHANCE
            kept[at] = _tear(write, rng) if torn else _whole(write)
    cut = None
    if (length := durable.in_creation()) is not None and rng.random() < _TORN_CHANCE:
        cut = int(rng.integers(0, length // SECTOR_BYTES + 1)) * SECTOR_BYTES
    return durable.state(kept, cut)


def _tear(write: Wrote, rng: np.random.Generator) -> list[slice]:
    """Keep the front, the back, the middle, or any sectors of a write."""
    sectors = _sectors(write)
    low, high = sorted(rng.integers(0, len(sectors), size=2, endpoint=True))
    kinds = (sectors[:low], sectors[high:], sectors[low:high])
    kind = int(rng.integers(0, len(kinds) + 1))
    if kind < len(kinds):
        return _joined(kinds[kind])
    return _joined([sector for sector in sectors if rng.random() < 0.5])


def _joined(sectors: Sequence[slice]) -> list[slice]:
    """Return the same bytes in as few parts as possible."""
    parts: list[slice] = []
    for sector in sectors:
        if parts and parts[-1].stop == sector.start:
            parts[-1] = slice(parts[-1].start, sector.stop)
        else:
            parts.append(sector)
    return parts


def all_states(
    start: State, log: Sequence[Event], rng: np.random.Generator, limit: int, samples: int
) -> Iterator[State]:
    """Yield every legal state at each end of a sync epoch.

    At the position before each sync, and at the end of the log: every subset of the unsynced
    changes, whole, and every single write cut at each sector from either side, the others there or
    all missing. After each creation also the file at length zero. Earlier positions of an epoch
    hold subsets of these. Where more than ``limit`` changes are unsynced, ``samples`` random states
    stand for the 2**n.
    """
    durable = _Durable(dict(start.names), dict(start.contents))
    for event in (*log, None):
        if event is None or isinstance(event, Synced | SyncedFolder):
            yield from _subsets(durable, rng, limit, samples)
            yield from _single_tears(durable)
        if event is not None:
            durable.advance(event)
            if durable.in_creation() is not None:
                yield durable.state(_everything(durable), cut=0)


def _everything(durable: _Durable) -> dict[int, Sequence[slice]]:
    kept: dict[int, Sequence[slice]] = {at: () for at in durable.changes}
    kept.update((at, _whole(write)) for at, write in durable.writes.items())
    return kept


def _subsets(
    durable: _Durable, rng: np.random.Generator, limit: int, samples: int
) -> Iterator[State]:
    everything = _everything(durable)
    if len(everything) > limit:
        for _ in range(samples):
            yield _sample(durable, rng)
        return
    for size in range(len(everything) + 1):
        for chosen in itertools.combinations(everything, size):
            yield durable.state({at: everything[at] for at in chosen})


def _single_tears(durable: _Durable) -> Iterator[State]:
    everything = _everything(durable)
    names_only: dict[int, Sequence[slice]] = {at: () for at in durable.changes}
    for at, write in durable.writes.items():
        sectors = _sectors(write)
        for cut in range(1, len(sectors)):
            for part in (_joined(sectors[:cut]), _joined(sectors[cut:])):
                yield durable.state(everything | {at: part})
                yield durable.state(names_only | {at: part})
