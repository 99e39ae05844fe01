"""Damage what is stored, in every place and every way, and see that only misses come of it.

Follows: TigerBeetle #2681: single bits find what whole sectors hide.
Leaves out: damage while the store runs (faults.py), whole blocks elsewhere (misplaced.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.torture.history import NOTHING, Verdict, judge
from tests.torture.model import Value, key_of, value_of
from tests.torture.stores import open_small
from workbench.tiering.async_io.clock import VirtualClock
from workbench.tiering.async_io.crash_states import SECTOR_BYTES
from workbench.tiering.async_io.engine import PAGE_BYTES, Request, StorageError
from workbench.tiering.async_io.sim_disk import SimDisk
from workbench.tiering.ssd_tier import Attributes
from workbench.tiering.ssd_tier.buffer_pool import BufferPool
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.ssd_tier.drafts import draft_block
from workbench.tiering.ssd_tier.frame import (
    HEADER_BYTES,
    BadFrameError,
    Header,
    Kind,
    attributes_sum,
    write_header,
)
from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.reading import Landing, verify

STORE = b"0123456789abcdef"
Allowed = dict[bytes, set[Value]]


def filled(n_blocks: int = 8, clean: bool = True) -> tuple[SimDisk, Allowed]:
    """Return a disk with a store on it, closed or killed after a flush, and what it must answer.

    Every other key was overwritten once, one was deleted: their old frames lie there too.
    """
    disk = SimDisk(clock=VirtualClock())
    tier = open_small(disk, disk)
    allowed: Allowed = {}
    for number in range(n_blocks):
        for version in range(1 + number % 2, -1, -1):
            value = value_of(number, version, 500 + 1900 * number)
            assert tier.put(key_of(number), value)
            tier.flush()
        allowed[key_of(number)] = {value}
    tier.put(key_of(n_blocks), b"deleted")
    tier.flush()
    tier.delete(key_of(n_blocks))
    allowed[key_of(n_blocks)] = {None}
    tier.flush()
    if clean:
        tier.close()
    return disk, allowed


def judge_disk(disk: SimDisk, allowed: Allowed) -> Verdict:
    """Open a damaged disk; a typed refusal is right, a miss is right, wrong bytes are wrong."""
    try:
        tier = open_small(disk, disk)
    except StorageError:
        return NOTHING
    return judge(tier, allowed, may_miss=True)


def flipped(disk: SimDisk, name: str, bit: int) -> SimDisk:
    """Return a copy of a disk with one bit of one file changed."""
    copy = disk.reopened()
    byte = copy.content(name)[bit // 8] ^ (1 << bit % 8)
    copy.rot(name, bit // 8, bytes([byte]))
    return copy


def random_flips(seed: int, n: int) -> Iterator[Verdict]:
    """Flip random bits of any file of a store that was closed, killed, or lost its index."""
    rng = random.Random(seed)
    disks = [filled(), filled(clean=False), filled()]
    disks[2][0].remove("index")
    for _ in range(n):
        disk, allowed = rng.choice(disks)
        name = rng.choice(disk.names())
        yield judge_disk(flipped(disk, name, rng.randrange(disk.size(name) * 8)), allowed)


def truncations(every: int = SECTOR_BYTES) -> Iterator[Verdict]:
    """Cut every file at every sector, with the index there and without."""
    disk, allowed = filled()
    for lose_index in (False, True):
        for name in disk.names():
            for n_bytes in range(0, disk.size(name), every):
                copy = disk.reopened()
                copy.truncate(name, n_bytes)
                if lose_index and name != "index":
                    copy.remove("index")
                yield judge_disk(copy, allowed)


def frame_in_memory(n_bytes: int = 16384) -> tuple[Landing, Entry]:
    """Return a whole frame as it lies on disk, and the entry that describes it."""
    attributes = Attributes(bytes(range(32)), bytes(range(16)), 7, 99999)
    value = memoryview(value_of(1, 1, n_bytes))
    checksum = payload_sum(value)
    draft = draft_block(BufferPool(0), key_of(1), value, checksum, attributes)
    header = Header(
        kind=Kind.BLOCK,
        codec=attributes.codec,
        store=STORE,
        segment=3,
        page=17,
        epoch=5,
        sequence=1234,
        durable=1200,
        key=key_of(1),
        fingerprint=attributes.fingerprint,
        tenant=attributes.tenant,
        plain_bytes=99999,
        stored_bytes=n_bytes,
        checksum=checksum,
    )
    write_header(draft.pages, header)
    entry = Entry(3, 17, n_bytes, 0, 1234, checksum, attributes_sum(attributes, n_bytes))
    pages = draft.pages
    if draft.rest:
        pages = memoryview(bytearray(b"".join((pages, *draft.rest))))
    request = Request("read", 0, 0, pages)
    return Landing(request, pages, pages[PAGE_BYTES : PAGE_BYTES + n_bytes]), entry


def every_bit(step: int = 1) -> Iterator[Verdict]:
    """Flip every bit of a block's header and payload; each must be seen."""
    landing, entry = frame_in_memory()
    for at in (*range(HEADER_BYTES), *range(PAGE_BYTES, landing.pages.nbytes)):
        for bit in range(0, 8, step):
            landing.pages[at] ^= 1 << bit
            try:
                verify(STORE, key_of(1), entry, landing)
                yield Verdict(0, 0, [f"bit {bit} of byte {at} was flipped unseen"])
            except BadFrameError:
                yield NOTHING
            landing.pages[at] ^= 1 << bit
