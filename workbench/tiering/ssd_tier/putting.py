"""Take blocks in and delete them.

Follows: a put is visible once its frame is written whole, and not at all if that fails; what is
stored already, byte for byte, is not written again.
Leaves out: durability; that is `flush`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.core import Core
from workbench.tiering.ssd_tier.deadline import Deadline
from workbench.tiering.ssd_tier.drafts import Draft, draft_block, draft_tombstone, draft_unsealed
from workbench.tiering.ssd_tier.frame import NO_CONTENT, Attributes, attributes_sum
from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.rooms import keep_spare, make_index_room, open_next
from workbench.tiering.ssd_tier.sealing import SealError
from workbench.tiering.ssd_tier.snapshot_file import publish
from workbench.tiering.ssd_tier.writer import append, condemn

# Memory that staging takes at once, twice over.
_STAGED_BYTES = 8 << 20


class Offer(NamedTuple):
    """A block that a caller offers: ``value`` is uint8[stored_bytes]."""

    key: bytes
    value: memoryview
    attributes: Attributes


class _Chosen(NamedTuple):
    """An offer that is to be written: its number among the offers, and what recognises its bytes.

    That is the sum of what is stored, or in a sealed store, where it is not yet known, `content`.
    """

    number: int
    offer: Offer
    checksum: bytes
    content: bytes


def put_all(core: Core, offers: Sequence[Offer], deadline: Deadline) -> list[bool]:
    """Store blocks; return for each whether it is stored, now or already, byte for byte.

    While one part is written, the next is laid out by the helper thread.
    """
    stored = [False] * len(offers)
    parts = _parts(_choose(core, offers, stored))
    drafts = _stage(core, parts[0]) if parts else None
    for number, part in enumerate(parts):
        ahead = None
        if number + 1 < len(parts):
            ahead = core.helper().submit(_stage, core, parts[number + 1])
        with core.writing(deadline) as granted:
            written = _write(core, drafts, deadline) if granted and drafts else []
        n_left = len(part) - len(written)
        core.counters.add(puts=n_left, puts_failed=n_left)
        for chosen, is_written in zip(part, written, strict=False):
            stored[chosen.number] = is_written
        drafts = None if ahead is None else ahead.result()
    return stored


def _choose(core: Core, offers: Sequence[Offer], stored: list[bool]) -> list[_Chosen]:
    """Return what is to be written; note in ``stored`` what need not be."""
    chosen = []
    for number, offer in enumerate(offers):
        if offer.value.nbytes > core.layout.value_bytes_max:
            core.counters.add(puts=1, puts_too_large=1)
            continue
        try:
            one = _recognised(core, number, offer)
        except SealError:
            core.counters.add(puts=1, puts_failed=1)
            continue
        if _is_stored(core, one):
            core.counters.add(puts=1, puts_unchanged=1)
            stored[number] = True
        elif not core.admits(offer.key, offer.value.nbytes):
            core.counters.add(puts=1, puts_not_admitted=1)
        else:
            chosen.append(one)
    return chosen


def _recognised(core: Core, number: int, offer: Offer) -> _Chosen:
    if core.sealing is None:
        return _Chosen(number, offer, payload_sum(offer.value), NO_CONTENT)
    content = core.sealing.mark(offer.attributes.tenant, offer.key, offer.value)
    return _Chosen(number, offer, b"", content)


def _is_stored(core: Core, one: _Chosen) -> bool:
    offer = one.offer
    entry = core.index.get(offer.key)
    if entry is None or entry.stored_bytes != offer.value.nbytes:
        return False
    if core.sealing is None and entry.checksum != one.checksum:
        return False
    return entry.attributes == attributes_sum(offer.attributes, offer.value.nbytes, one.content)


def _parts(chosen: Sequence[_Chosen]) -> list[list[_Chosen]]:
    """Cut the blocks into runs of about 8 MiB."""
    parts: list[list[_Chosen]] = []
    n_bytes = _STAGED_BYTES
    for one in chosen:
        if n_bytes >= _STAGED_BYTES:
            parts.append([])
            n_bytes = 0
        parts[-1].append(one)
        n_bytes += one.offer.value.nbytes
    return parts


def _stage(core: Core, part: Sequence[_Chosen]) -> list[Draft] | None:
    """Lay blocks out as frames; None if there is no memory for them."""
    try:
        return [_draft(core, one) for one in part]
    except MemoryError:
        return None


def _draft(core: Core, one: _Chosen) -> Draft:
    _, offer, checksum, content = one
    if core.sealing is None:
        return draft_block(core.pool, offer.key, offer.value, checksum, offer.attributes)
    return draft_unsealed(core.pool, offer.key, offer.value, content, offer.attributes)


def _write(core: Core, drafts: Sequence[Draft], deadline: Deadline) -> list[bool]:
    """Write blocks and let them be seen; return which, as far as there was room."""
    written: list[bool] = []
    if not core.health.may_write():
        core.counters.add(puts=len(drafts), puts_refused=len(drafts))
        return [False] * len(drafts)
    if core.lacks_spare:
        keep_spare(core, deadline)
    while len(written) < len(drafts):
        rest = drafts[len(written) :]
        rest = rest[: _index_room(core, rest[0].key, deadline)]
        entries = append(core, rest, deadline)
        if rest and not entries and _next_segment(core, deadline):
            entries = append(core, rest, deadline)
        if not entries:
            break
        written += [_publish(core, d, e) for d, e in zip(rest, entries, strict=False)]
    return written


def _index_room(core: Core, key: bytes, deadline: Deadline) -> int:
    """Return how many blocks the index takes, the first of them being this one."""
    if key not in core.index and not make_index_room(core, deadline):
        return 0
    return max(1, core.index.max_blocks - len(core.index))


def _next_segment(core: Core, deadline: Deadline) -> bool:
    """Open the next segment, and publish a snapshot after so many."""
    if core.filled_segments >= core.config.snapshot_every_segments:
        publish(core, deadline)
    return open_next(core, deadline)


def _publish(core: Core, draft: Draft, entry: Entry | None) -> bool:
    """Let a written block be seen; what it replaces counts no more."""
    if entry is None:
        core.counters.add(puts=1, puts_failed=1)
        return False
    condemn(core, draft.key, core.index.put(draft.key, entry))
    condemn(core, draft.key, core.strays.take_aside(draft.key))
    core.counters.add(puts=1, puts_written=1, put_bytes=draft.stored_bytes)
    return True


def delete(core: Core, key: bytes, deadline: Deadline) -> bool:
    """Forget a block and write that down; return whether it was there.

    The writer's lock is held. It is gone for this process whatever the device does.
    """
    entry = core.index.remove(key)
    aside = core.strays.take_aside(key)
    if entry is None and aside is None and not core.strays.concerns(key):
        return False
    is_written = _write_tombstone(core, key, deadline)
    condemn(core, key, entry, promised=is_written)
    condemn(core, key, aside, promised=is_written)
    core.counters.add(deletes=int(entry is not None))
    return entry is not None


def _write_tombstone(core: Core, key: bytes, deadline: Deadline) -> bool:
    draft = draft_tombstone(core.pool, key)
    entries = append(core, [draft], deadline)
    if not entries and _next_segment(core, deadline):
        entries = append(core, [draft], deadline)
    return bool(entries) and entries[0] is not None
