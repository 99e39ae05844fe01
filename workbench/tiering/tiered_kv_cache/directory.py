"""Know which block is where, and decide what moves; nothing here touches a byte.

Follows: decisions at once and in order, bytes behind them: a simulator runs on this very class, so
that its hits are the cache's.
Leaves out: bytes, I/O and waiting (cache.py, write_behind.py, loading.py); keys (block_key.py);
locking, which is the caller's.

A slot is free, open (a block that is being filled, without a key), hot (a sealed block under its
key, ordered by the policy) or leaving (a block that counts as cold already, until its bytes are
written). Which blocks are cold is the SSD tier's to know: ``is_stored`` asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.tiering.eviction.policy import Policy
from workbench.tiering.tiered_kv_cache.claims import Claims
from workbench.tiering.tiered_kv_cache.counts import DirectoryCounts
from workbench.tiering.tiered_kv_cache.errors import CacheFullError
from workbench.tiering.tiered_kv_cache.found import Found, Tier
from workbench.tiering.tiered_kv_cache.outbound import Outbound
from workbench.tiering.tiered_kv_cache.slot_pool import SlotPool
from workbench.tiering.write_policy import WritePolicy


def _nothing() -> None:
    """Wait for nothing."""


class Directory:
    """The blocks of one cache.

    Parameters
    ----------
    policy : Policy                 orders the hot blocks; its capacity is the high watermark
    n_slots : int                   >= the policy's capacity; the rest is for leaving blocks
    low_blocks : int or None        demotion, once started, goes on until so few are hot and open
    write : WritePolicy or None     what goes to the SSD tier; None: there is none
    is_stored : callable            whether the SSD tier has a block
    give_back : callable            told of slots that `limit` withdraws
    """

    def __init__(
        self,
        policy: Policy[bytes],
        n_slots: int,
        *,
        low_blocks: int | None = None,
        write: WritePolicy | None = None,
        is_stored: Callable[[bytes], bool] = lambda key: False,
        give_back: Callable[[int], None] = lambda slot: None,
    ) -> None:
        self._policy = policy
        self.capacity_blocks = policy.capacity_blocks
        assert 1 <= self.capacity_blocks <= n_slots, (self.capacity_blocks, n_slots)
        low = self.capacity_blocks if low_blocks is None else low_blocks
        self._target = min(low, self.capacity_blocks - 1)
        self._write = write
        self._is_stored = is_stored
        self._slot_of: dict[bytes, int] = {}
        self._outbound = Outbound()
        self.slots = SlotPool(n_slots, give_back)
        self._arriving: set[int] = set()
        self._open: set[int] = set()
        self._uses = [0] * n_slots
        self.claims = Claims()
        self.counts = DirectoryCounts()
        # Changes whenever a hot block loses its slot: who remembers slots looks here.
        self.version = 0

    # Looking: nothing changes

    def where(self, key: bytes) -> Tier | None:
        """Return the tier a block is in, None if it is nowhere."""
        if key in self._slot_of:
            return Tier.HOT
        return Tier.COLD if key in self._outbound or self._is_stored(key) else None

    def match(self, keys: Sequence[bytes]) -> list[Tier]:
        """Return the tiers of the longest run of blocks, from the first on, that are somewhere."""
        tiers = []
        for key in keys:
            tier = self.where(key)
            if tier is None:
                break
            tiers.append(tier)
        return tiers

    def slot(self, key: bytes) -> int | None:
        """Return the slot of a block that is hot or leaving, None if it is in neither state."""
        slot = self._slot_of.get(key)
        return self._outbound.slot(key) if slot is None else slot

    def slot_to_write(self, key: bytes) -> int | None:
        """Return the slot that holds all of a block's bytes, None if there is none."""
        slot = self.slot(key)
        return None if slot in self._arriving else slot

    @property
    def hot_blocks(self) -> int:
        """Return how many sealed blocks are hot."""
        return len(self._slot_of)

    @property
    def hot_blocks_used(self) -> int:
        """Return how many of them open sequences are made of; the others are a prompt cache."""
        return sum(map(self.claims.is_referred, self._slot_of))

    @property
    def open_blocks(self) -> int:
        """Return how many blocks are being filled."""
        return len(self._open)

    @property
    def leaving_blocks(self) -> int:
        """Return how many slots wait for their bytes to be written."""
        return len(self._outbound)

    # Using

    def look_up(self, keys: Sequence[bytes]) -> list[Found]:
        """Use the longest run of blocks that are somewhere, and refer to each of them.

        Returned in the keys' order; `unrefer` each of them in the end.
        """
        return self.use(keys[: len(self.match(keys))])

    def use(self, keys: Sequence[bytes], before_each: Callable[[], None] = _nothing) -> list[Found]:
        """Refer to blocks that are somewhere and use them; return them in the keys' order.

        They are used deepest first, so that a prefix outlives its continuations.

        Parameters
        ----------
        before_each : callable   may wait until a slot is free
        """
        for key in keys:
            self.claims.refer(key)
        found = []
        for key in reversed(keys):
            before_each()
            found.append(self.access(key))
        return found[::-1]

    def access(self, key: bytes) -> Found:
        """Use a block that is somewhere: a hot one becomes recent, a cold one hot if it has room.

        Room is made from blocks that no open sequence is made of.
        """
        slot = self._slot_of.get(key)
        if slot is not None:
            self._policy.touch(key)
            self._uses[slot] += 1
            return Found(key, Tier.HOT, None)
        has_room = self._make_room(spare_referred=True)
        if key in self._outbound:
            if has_room:
                self._take_back(key)
            return Found(key, Tier.COLD, None)
        fill = self.slots.take() if has_room else None
        if fill is None:
            return Found(key, Tier.COLD, None)
        self._enter(key, fill)
        self._arriving.add(fill)
        self.slots.hold(fill)
        self.counts.promotions += 1
        return Found(key, Tier.COLD, fill)

    def _take_back(self, key: bytes) -> None:
        """Make a block hot again whose bytes have not left yet."""
        self._enter(key, self._outbound.end(key))
        self.counts.promotions += 1

    def _enter(self, key: bytes, slot: int) -> None:
        self._slot_of[key] = slot
        self._uses[slot] = 1
        self._policy.insert(key)

    def arrived(self, key: bytes, slot: int, whole: bool) -> None:
        """Note that a promoted block's bytes are in its slot, or (not whole) never will be.

        Until then the slot is nobody else's, even if the block comes from elsewhere meanwhile.
        """
        self._arriving.discard(slot)
        self.slots.unhold(slot)
        if not whole and self._slot_of.get(key) == slot:
            del self._slot_of[key]
            self._policy.remove(key)
            self.slots.let_go(slot)
            self.version += 1

    def reserve(self) -> int | None:
        """Take a slot for a block to be filled; None: there is room, but bytes must leave first.

        Raises
        ------
        CacheFullError   if nothing may leave
        """
        if not self._make_room(spare_referred=False):
            raise CacheFullError(
                f"all {self.capacity_blocks:,} blocks of the hot slab are pinned, being filled or "
                f"in use{'' if self._write else ', and there is no SSD tier'}; raise hot_bytes, "
                "pin less or close sequences"
            )
        slot = self.slots.take()
        if slot is None:
            self._outbound.promise_again()
        else:
            self._open.add(slot)
        return slot

    def give_back(self, slot: int) -> None:
        """Free the slot of an open block."""
        self._open.remove(slot)
        self.slots.let_go(slot)

    def seal(self, slot: int, key: bytes) -> None:
        """Name a filled block; if it is here already, one copy is kept."""
        known = self.slot(key)
        self._open.remove(slot)
        if known is None:
            self._enter(key, slot)
            self.counts.sealed += 1
            if self._write is not None and self._write.on_seal(key, 1) and not self._is_safe(key):
                self._outbound.promise(key)
            return
        self.counts.duplicates += 1
        if key in self._outbound:
            self._take_back(key)
        else:
            self._policy.touch(key)
            self._uses[known] += 1
        if known in self._arriving:
            # The bytes that are here beat those that may never come.
            self._arriving.remove(known)
            self._slot_of[key], self._uses[slot] = slot, self._uses[known]
            self.version += 1
            slot = known
        self.slots.let_go(slot)

    def admit(self, key: bytes) -> None:
        """Take in a block that was just made, as `reserve` and `seal` do; for simulations.

        Raises
        ------
        CacheFullError   if nothing may leave
        """
        slot = self.reserve()
        assert slot is not None, "a simulation ends each write before the next block"
        self.seal(slot, key)

    # Making room

    def limit(self, n_slots: int, high_blocks: int, low_blocks: int) -> None:
        """Keep to fewer slots, or more again: hot blocks leave at once as far as they may.

        Parameters
        ----------
        n_slots : int                  at most those there are; as many are granted in the end
        high_blocks, low_blocks : int  watermarks, high at most n_slots and the policy's capacity
        """
        assert 1 <= high_blocks <= min(n_slots, self._policy.capacity_blocks)
        self.capacity_blocks = high_blocks
        self._target = min(low_blocks, high_blocks - 1)
        while len(self._slot_of) + len(self._open) > high_blocks:
            if not self._demote_one(spare_referred=False):
                break
        self.slots.limit(n_slots)

    def _make_room(self, spare_referred: bool) -> bool:
        """Demote from the high watermark to the low one; return whether one more block fits."""
        occupied = len(self._slot_of) + len(self._open)
        if occupied < self.capacity_blocks:
            return True
        while occupied > self._target:
            if not self._demote_one(spare_referred or occupied < self.capacity_blocks):
                break
            occupied -= 1
        return occupied < self.capacity_blocks

    def _demote_one(self, spare_referred: bool) -> bool:
        key = self._policy.evict(self._is_wanted)
        if key is None and not spare_referred and self._write is not None:
            key = self._policy.evict(self._is_fixed)
        if key is None:
            return False
        slot = self._slot_of.pop(key)
        self.version += 1
        self.counts.evictions += 1
        if self._outbound.is_promised(key):
            self._outbound.leave(key, slot)
        elif self._write is not None and self._is_stored(key):
            self.slots.let_go(slot)
        elif self._is_worth_writing(key, slot):
            self._outbound.promise(key)
            self._outbound.leave(key, slot)
        else:
            self.counts.forgotten += 1
            self.slots.let_go(slot)
        return True

    def _is_worth_writing(self, key: bytes, slot: int) -> bool:
        """Return whether a block that the SSD tier has not is to be written when it leaves."""
        if self._write is None:
            return False
        return self.claims.is_referred(key) or self._write.on_demote(key, self._uses[slot])

    def _is_fixed(self, key: bytes) -> bool:
        return self.claims.is_pinned(key) or self._slot_of[key] in self._arriving

    def _is_wanted(self, key: bytes) -> bool:
        return self.claims.is_claimed(key) or self._slot_of[key] in self._arriving

    # Writing behind

    def _is_safe(self, key: bytes) -> bool:
        return self._outbound.is_promised(key) or self._is_stored(key)

    def keys(self) -> list[bytes]:
        """Return the keys of the hot blocks."""
        return list(self._slot_of)

    def demand_writes(self, keys: Sequence[bytes]) -> None:
        """Write those of the hot blocks that would be written if they left now."""
        for key in keys:
            slot = self._slot_of.get(key)
            if slot is None or self._is_safe(key) or not self._is_worth_writing(key, slot):
                continue
            self._outbound.promise(key)

    def take_writes(self) -> list[bytes]:
        """Return the blocks to write, in order; `written` or `unwritten` answers for each."""
        return self._outbound.take_writes()

    def written(self, key: bytes) -> None:
        """Note that the SSD tier has a block; a slot that waited for that is free."""
        self._outbound.answer(key)
        if key in self._outbound:
            self._leave(key)

    def unwritten(self, key: bytes) -> None:
        """Note that a block could not be written: if it was leaving, it is gone.

        Unless an open sequence is made of it: then it keeps its slot.
        """
        self._outbound.answer(key)
        if key in self._outbound and not self.claims.is_referred(key):
            self._forget(key)

    def give_up(self) -> bool:
        """Forget a block that no open sequence is made of, though it was not written; or False.

        For when the SSD tier takes too long: a slot that it reads from is of no use.
        """
        for key, slot in self._outbound.items():
            if not self.claims.is_referred(key) and not self.slots.is_held(slot):
                self._forget(key)
                return True
        hot = self._policy.evict(self._is_wanted)
        if hot is None:
            return False
        self.counts.evictions += 1
        self._outbound.leave(hot, self._slot_of.pop(hot))
        self._forget(hot)
        return True

    def _forget(self, key: bytes) -> None:
        self.counts.forgotten += 1
        self._leave(key)

    def _leave(self, key: bytes) -> None:
        self.version += 1
        self.slots.let_go(self._outbound.end(key))

    def unrefer(self, key: bytes) -> None:
        """Take a reference back; a block that only that kept is gone."""
        if (
            self.claims.unrefer(key)
            and key in self._outbound
            and not self._outbound.is_promised(key)
        ):
            self._forget(key)

    # Checking

    def check(self) -> None:
        """Assert that every slot is in exactly one state, and the policy holds what is hot."""
        self._policy.check()
        self.claims.check()
        assert len(self._policy) == len(self._slot_of) <= self._policy.capacity_blocks
        assert all(key in self._policy for key in self._slot_of)
        self._outbound.check()
        leaving = dict(self._outbound.items())
        self.slots.check([*self._slot_of.values(), *leaving.values(), *self._open])
        assert not self._slot_of.keys() & leaving.keys()
        assert self._arriving <= set(self._slot_of.values())
