"""Hold a cache, its SSD tier and their faults against a plain dict of token lists."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import (
    BLOCK_BYTES,
    SIZE,
    append,
    assert_right,
    cache_on,
    config,
)
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.tiered_kv_cache import BlockLostError, CachedSequence, CacheFullError
from workbench.tiering.write_policy import Selective, WriteBack, WriteThrough

# Two token ids: prefixes meet all the time.
IDS = st.lists(st.integers(0, 1), max_size=3 * SIZE)
READ_FAULTS = st.sampled_from(["error", "short", "flip", "misdirect", "hang", "delay"])
WRITE_FAULTS = st.sampled_from(["error", "short", "torn", "drop", "flip", "misdirect", "hang"])
NUMBERS = st.integers(0, 1 << 16)


class CacheMachine(RuleBasedStateMachine):
    """What a sequence is expected to hold is what was appended to it, less what it says it lost."""

    @initialize(
        n_slots=st.integers(3, 9),
        write=st.sampled_from([WriteThrough, WriteBack, Selective]),
        low=st.sampled_from([0.3, 0.9]),
        recent=st.sampled_from([0, 5]),
    )
    def begin(self, n_slots, write, low, recent):
        self.settings = config(
            n_slots,
            write=write,
            low_watermark_frac=low,
            recent_tokens=recent,
            write_wait_s=0.2,
            max_hot_bytes=9 * BLOCK_BYTES,
        )
        self.disk = sim_disk()
        self.sequences: list[tuple[CachedSequence, list[int]]] = []
        self.seen: list[list[int]] = [[]]
        self.persisted: list[list[int]] = []
        self.faulty = False
        self.open()

    def open(self):
        self.stack = contextlib.ExitStack()
        self.granted = self.settings.hot_bytes
        self.cache, self.faults = self.stack.enter_context(cache_on(self.disk, self.settings))

    def teardown(self):
        if hasattr(self, "stack"):
            self.stack.close()

    def pick(self, number):
        return number % len(self.sequences)

    def lost(self, number, error):
        sequence, ids = self.sequences[number]
        assert sequence.n_tokens == error.n_tokens <= len(ids)
        assert self.faulty, "a block was lost without a fault"
        self.sequences[number] = (sequence, ids[: error.n_tokens])

    @rule()
    @precondition(lambda self: len(self.sequences) < 4)
    def new(self):
        self.sequences.append((self.cache.sequence(), []))

    @rule(number=NUMBERS, ids=IDS)
    @precondition(lambda self: self.sequences)
    def append(self, number, ids):
        number = self.pick(number)
        sequence, known = self.sequences[number]
        try:
            append(sequence, ids)
        except CacheFullError:
            assert sequence.token_ids == known
        except BlockLostError as error:
            # The block to go on in, or one sealed meanwhile.
            self.lost(number, error)
        else:
            self.sequences[number] = (sequence, known + ids)
            self.seen.append(known + ids)

    @rule(number=NUMBERS, start=NUMBERS, length=NUMBERS)
    @precondition(lambda self: self.sequences)
    def read(self, number, start, length):
        number = self.pick(number)
        sequence, known = self.sequences[number]
        assert sequence.token_ids == known
        start %= len(known) + 1
        try:
            assert_right(sequence, start, start + length % (len(known) - start + 1))
        except BlockLostError as error:
            self.lost(number, error)

    @rule(number=NUMBERS, n_tokens=NUMBERS)
    @precondition(lambda self: self.sequences)
    def truncate(self, number, n_tokens):
        number = self.pick(number)
        sequence, known = self.sequences[number]
        n_tokens %= len(known) + 1
        sequence.truncate(n_tokens)
        self.sequences[number] = (sequence, known[:n_tokens])

    @rule(number=NUMBERS, n_tokens=NUMBERS)
    @precondition(lambda self: 0 < len(self.sequences) < 4)
    def fork(self, number, n_tokens):
        sequence, known = self.sequences[self.pick(number)]
        n_tokens %= len(known) + 1
        self.sequences.append((sequence.fork(n_tokens), known[:n_tokens]))

    @rule(number=NUMBERS)
    @precondition(lambda self: self.sequences)
    def close(self, number):
        sequence, _ = self.sequences.pop(self.pick(number))
        sequence.close()

    @rule(number=NUMBERS, more=IDS)
    @precondition(lambda self: len(self.sequences) < 4)
    def load(self, number, more):
        ids = self.seen[number % len(self.seen)] + more
        match = self.cache.match_prefix(ids)
        load = self.cache.load(ids)
        n_tokens = load.wait()
        assert n_tokens == match.n_tokens or (self.faulty and n_tokens < match.n_tokens)
        self.sequences.append((load.sequence, ids[:n_tokens]))

    @rule(number=NUMBERS)
    @precondition(lambda self: self.sequences)
    def persist(self, number):
        sequence, known = self.sequences[self.pick(number)]
        is_safe = sequence.persist()
        assert is_safe or self.faulty
        if is_safe and not self.faulty:
            self.persisted.append(known)
            assert self.cache.match_prefix(known).n_tokens == len(known)

    @rule(number=NUMBERS)
    def pin_for_a_while(self, number):
        ids = self.seen[number % len(self.seen)][:SIZE]
        if (
            self.cache.stats().hot_capacity_blocks >= 4
            and self.cache.hot_bytes >= 6 * self.cache.layout.block_bytes
        ):
            self.cache.pin("system prompt", ids)
            self.cache.check()
            self.cache.unpin("system prompt")

    @rule(n_slots=st.integers(2, 9))
    def squeeze(self, n_slots):
        """Another budget is kept as soon as what is in the way has left."""
        n_bytes = min(n_slots * BLOCK_BYTES, self.settings.max_hot_bytes)
        granted = self.cache.set_hot_budget(n_bytes)
        assert n_bytes <= granted <= max(n_bytes, self.granted)
        self.granted = granted

    @rule()
    def reopen(self):
        self.stack.close()
        self.sequences = []
        self.disk = self.disk.reopened()
        self.open()
        for ids in self.persisted:
            n_tokens = self.cache.match_prefix(ids).n_tokens
            assert n_tokens == len(ids) or self.faulty

    @rule(kind=READ_FAULTS, nth=st.integers(1, 8), times=st.integers(1, 4))
    def break_a_read(self, kind, nth, times):
        self.faulty = True
        self.faults.add(Fault(kind, "read", nth=nth, times=times))

    @rule(kind=WRITE_FAULTS, nth=st.integers(1, 3), times=st.integers(1, 4))
    def break_a_write(self, kind, nth, times):
        self.faulty = True
        self.faults.add(Fault(kind, "write", nth=nth, times=times))

    @invariant()
    def everything_adds_up(self):
        if hasattr(self, "cache"):
            # What is written behind must not decide how a run goes on.
            self.cache.drain()
            self.cache.check()
            # A budget that was granted only shrinks until another one is asked for.
            assert self.cache.stats().hot_bytes == self.cache.hot_bytes <= self.granted
            self.granted = self.cache.hot_bytes


TestCache = CacheMachine.TestCase
TestCache.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
