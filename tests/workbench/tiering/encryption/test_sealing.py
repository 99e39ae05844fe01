"""Sealed stores: what is bound, what is refused, what is left behind, who finds what."""

from __future__ import annotations

import hashlib
import os
import traceback
from dataclasses import replace

import numpy as np
import pytest

from tests.torture.model import key_of, value_of
from tests.torture.stores import SMALL, TIGHT, open_small
from tests.workbench.tiering.encryption.sealed_stores import (
    MASTER,
    MASTER_BYTES,
    OTHER,
    TENANT,
    header_of,
    new_disk,
    open_sealed,
    plain_of,
    real_store,
    sealed,
    side_file,
    unlocked,
)
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.encryption import sealing as sealing_module
from workbench.tiering.encryption.errors import KeyTableError
from workbench.tiering.encryption.sealing import StoreSealing
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.ssd_tier import Attributes, SsdTierConfig, StoreSealedError
from workbench.tiering.ssd_tier.checksum import header_sum, payload_sum
from workbench.tiering.ssd_tier.frame import HEADER_BYTES, BadFrameError, pack, unpack
from workbench.tiering.ssd_tier.reading import Landing, verify
from workbench.tiering.ssd_tier.recovery import entry_of
from workbench.tiering.ssd_tier.sealing import SealError
from workbench.tiering.tiered_kv_cache import CacheConfig, TieredKVCache

CANARY = b"a canary that must be nowhere on disk"
MIB = 1 << 20


def opened(sealing: StoreSealing, header, stored) -> bytes | None:
    """Return what a block opens to; None, and zeros in its memory, where it does not."""
    payload = bytearray(stored)
    try:
        sealing.open(header, memoryview(payload))
    except SealError:
        assert not any(payload)
        return None
    return bytes(payload)


# What is bound


@pytest.mark.parametrize("n_bytes", [0, 1, 4096, 70_000])
def test_a_block_opens_under_its_own_header(n_bytes):
    sealing = unlocked()
    header, stored = sealed(sealing, header_of(1, n_bytes), plain_of(1, n_bytes))
    assert opened(sealing, header, stored) == plain_of(1, n_bytes)
    assert n_bytes < 16 or stored != plain_of(1, n_bytes)
    assert unpack(pack(header)) == header


def test_all_pairs_of_64_swapped_blocks_are_refused():
    """Another block's bytes, with its salt, number and tag, under this block's header."""
    sealing = unlocked()
    frames = [sealed(sealing, header_of(n, 200), plain_of(n, 200)) for n in range(64)]
    refused = 0
    for n, (header, _) in enumerate(frames):
        for m, (other, stored) in enumerate(frames):
            answer = opened(sealing, header._replace(seal=other.seal), stored)
            assert answer == (plain_of(n, 200) if n == m else None)
            refused += answer is None
    assert refused == 64 * 63


@pytest.mark.parametrize("field", header_of()._fields)
def test_every_field_of_the_header_counts(field):
    sealing = unlocked()
    sealing.keys.key_or_new(b"another tenant's")
    header, stored = sealed(sealing, header_of(), plain_of(1))
    before = getattr(header, field)
    changed = before[:-1] + bytes([before[-1] ^ 1]) if isinstance(before, bytes) else before ^ 1
    if field == "tenant":
        changed = b"another tenant's"
    answer = opened(sealing, header._replace(**{field: changed}), stored)
    # The sum is of what is stored: it is checked before, without a key.
    assert answer == (plain_of(1) if field == "checksum" else None)


def test_every_byte_of_a_frame_that_is_tampered_with_is_refused_and_leaves_zeros():
    """As one who knows the format would: every sum, and the index, are made to fit again."""
    sealing, refused = unlocked(), 0
    header, stored = sealed(sealing, header_of(1, 1000), plain_of(1, 1000))
    frame = pack(header._replace(checksum=payload_sum(stored))).ljust(PAGE_BYTES, b"\0") + stored
    for at in (*range(HEADER_BYTES - 8), *range(PAGE_BYTES, len(frame))):
        raw = bytearray(frame)
        raw[at] ^= 1 << at % 8
        payload = memoryview(raw)[PAGE_BYTES:]
        if at >= PAGE_BYTES:
            raw[160:176] = payload_sum(payload)
        raw[248:256] = header_sum(raw[:248]).to_bytes(8, "little")
        try:
            read = unpack(raw)
            landing = Landing(None, memoryview(raw), payload)  # type: ignore[arg-type]
            verify(read.store, read.key, entry_of(read), landing)
            sealing.open(read, payload)
        except BadFrameError:
            # Magic, version, kind, a length that is no more its own, the sum of other bytes.
            assert at < HEADER_BYTES
        except SealError:
            assert not any(payload)
        else:
            raise AssertionError(f"byte {at} was changed unseen")
        refused += 1
    assert refused == 248 + 1000


def test_another_store_s_keys_open_nothing():
    header, stored = sealed(unlocked(), header_of(), plain_of(1))
    other = unlocked()
    other.keys.key_or_new(TENANT)
    assert opened(other, header, stored) is None


def test_a_mark_tells_bytes_apart_only_to_those_with_the_key():
    one, other = unlocked(), unlocked()
    value, changed = memoryview(b"value"), memoryview(b"valve")
    marks = {
        one.mark(TENANT, b"k" * 32, value),
        one.mark(TENANT, b"k" * 32, changed),
        one.mark(TENANT, b"l" * 32, value),
        one.mark(b"t" * 16, b"k" * 32, value),
        other.mark(TENANT, b"k" * 32, value),
    }
    assert len(marks) == 5
    assert one.mark(TENANT, b"k" * 32, value) in marks


# Stores


def fill(tier, n_blocks=8, version=0):
    blocks = {key_of(n): value_of(n, version, 500 + 1900 * n) for n in range(n_blocks)}
    assert all(tier.put(key, value) for key, value in blocks.items())
    return blocks


def test_blocks_come_back_after_a_restart_and_are_not_written_twice():
    disk = new_disk()
    tier, _ = open_sealed(disk)
    blocks = fill(tier)
    assert all(tier.get(key) == value for key, value in blocks.items())
    tier.close()
    tier, _ = open_sealed(disk)
    assert all(tier.get(key) == value for key, value in blocks.items())
    fill(tier)
    counts = tier.stats().counts
    assert (counts.puts_unchanged, counts.puts_written) == (8, 0)
    fill(tier, version=1)
    assert tier.stats().counts.puts_written == 8
    assert tier.check().sound


def test_blocks_come_back_after_a_kill_and_a_lost_index():
    disk = new_disk()
    tier, _ = open_sealed(disk)
    blocks = fill(tier)
    tier, _ = open_sealed(disk.reopened())
    assert all(tier.get(key) == value for key, value in blocks.items())
    assert tier.check().sound


def test_blocks_that_are_moved_are_sealed_again_for_their_new_place():
    disk = new_disk()
    tier, _ = open_sealed(disk, replace(TIGHT, reinsert_frac=0.5))
    kept = value_of(0, 0, 5000)
    tier.put(key_of(0), kept)
    places = {tier._core.index.get(key_of(0))[:2]}
    for version in range(40):
        assert tier.get(key_of(0)) == kept
        tier.put(key_of(1 + version % 3), value_of(1, version, 9000))
        places.add(tier._core.index.get(key_of(0))[:2])
    assert tier.stats().counts.blocks_reinserted > 3
    assert len(places) > 3
    assert tier.check().sound
    tier.close()
    tier, _ = open_sealed(disk, TIGHT)
    assert tier.get(key_of(0)) == kept


def test_large_batches_are_sealed_and_opened_by_two_threads(disk_folder):
    config = SsdTierConfig(96 * MIB, 16 * MIB, flush_every_s=None)
    values = {key_of(n): np.random.default_rng(n).bytes(1_474_560) for n in range(12)}
    with real_store(disk_folder / "store", config, StoreSealing(MASTER)) as tier:
        offers = [(key, value, Attributes()) for key, value in values.items()]
        assert all(tier.put_many(offers))
        assert tier.get_many(list(values)) == list(values.values())
        assert tier.check().sound


def test_a_value_that_is_put_is_left_as_it_is():
    tier, _ = open_sealed(new_disk())
    value = bytearray(b"as it is" * 1024)
    assert tier.put(key_of(1), value)
    assert value == b"as it is" * 1024


def test_a_caller_s_buffer_holds_nothing_plain_after_a_block_that_does_not_open(disk_folder):
    """The disk's owner changed the bytes, and every sum and the index to fit."""
    config = SsdTierConfig(64 * MIB, 8 * MIB, flush_every_s=None)
    with real_store(disk_folder / "store", config, StoreSealing(MASTER)) as tier:
        plain = CANARY.ljust(64, b".") * 64
        tier.put(key_of(1), plain)
        core, key = tier._core, key_of(1)
        entry = core.index.get(key)
        path = disk_folder / "store" / f"segment-{entry.segment:05d}"
        at = entry.page * PAGE_BYTES
        raw = bytearray(path.read_bytes()[at : at + 2 * PAGE_BYTES])
        raw[PAGE_BYTES + 3000] ^= 1
        raw[160:176] = payload_sum(raw[PAGE_BYTES:])
        raw[248:256] = header_sum(raw[:248]).to_bytes(8, "little")
        with path.open("r+b") as file:
            file.seek(at)
            file.write(raw)
        core.index.put(key, entry._replace(checksum=bytes(raw[160:176])))
        memory = np.full(3 * PAGE_BYTES, 7, np.uint8)
        start = -memory.ctypes.data % PAGE_BYTES
        buffer = memory[start : start + PAGE_BYTES].data
        assert tier.get(key, buffer) is None
        assert not any(buffer)
        counts = tier.stats().counts
        assert (counts.misses_sealed, counts.misses, counts.hits) == (1, 1, 0)
        assert "ssd_tier_misses_sealed_total 1" in tier.stats().prometheus()
        # It left the index: nobody asks the device for it again.
        assert tier.get(key) is None
        assert tier.stats().counts.misses_absent == 1


def test_every_sum_of_a_sealed_store_is_checked_without_a_key():
    disk = new_disk()
    tier, _ = open_sealed(disk)
    fill(tier)
    core = tier._core
    core.sealing = None
    assert tier.check().sound


# Refusals


def sums(disk):
    return {name: hashlib.sha256(disk.content(name)).digest() for name in disk.names()}


def test_a_sealed_store_without_a_key_is_refused_and_left_alone():
    disk = new_disk()
    tier, _ = open_sealed(disk)
    fill(tier)
    tier.close()
    before = sums(disk)
    with pytest.raises(StoreSealedError, match=r"--key-file.*WORKBENCH_KEY_FILE"):
        open_small(disk, disk)
    assert sums(disk) == before


def test_a_plain_store_with_a_key_is_refused_and_left_alone():
    disk = new_disk()
    tier = open_small(disk, disk)
    fill(tier)
    tier.close()
    before = sums(disk)
    with pytest.raises(StoreSealedError, match="leave the key away"):
        open_sealed(disk)
    assert sums(disk) == before
    assert "keys" not in disk.names()


def test_another_master_key_is_refused_and_the_store_left_alone():
    disk = new_disk()
    tier, _ = open_sealed(disk)
    fill(tier)
    tier.close()
    before = sums(disk)
    with pytest.raises(KeyTableError, match="give the key file that the store was made with"):
        open_sealed(disk, master=OTHER)
    assert sums(disk) == before


def test_lost_keys_are_never_replaced_by_new_ones():
    disk = new_disk()
    tier, _ = open_sealed(disk)
    fill(tier)
    tier.close()
    disk.remove("keys")
    with pytest.raises(KeyTableError, match="missing; restore it"):
        open_sealed(disk)
    assert "keys" not in disk.names()


def test_another_store_s_keys_are_refused():
    disk, other = new_disk(), new_disk()
    for one in (disk, other):
        tier, _ = open_sealed(one)
        tier.close()
    disk.rot("keys", 0, other.content("keys"))
    with pytest.raises(KeyTableError, match="another store's"):
        open_sealed(disk)


def test_a_folder_with_keys_and_nothing_else_never_becomes_a_plain_store():
    disk = new_disk()
    unlocked_file = side_file(disk)
    StoreSealing(MASTER).unlock(unlocked_file, None)
    with pytest.raises(StoreSealedError):
        open_small(disk, disk)
    tier, _ = open_sealed(disk)
    assert tier.put(key_of(1), b"sealed")


def test_a_store_that_was_closed_lets_go_of_its_keys():
    tier, sealing = open_sealed(new_disk())
    tier.close()
    with pytest.raises(SealError, match="no store is open"):
        sealing.tenant("me")
    assert not tier.put(key_of(1), b"late")


# Tenants


GEOMETRY = KVGeometry(2, 1, 8, "float16")


def cache_of(tier, secret):
    config = CacheConfig(GEOMETRY, hot_bytes=MIB, block_tokens=8)
    return TieredKVCache(config, tier, fingerprint=b"model", tenant=secret)


def store_tokens(tier, secret, token_ids):
    k = np.ones((len(token_ids), 2, 1, 8), np.float16)
    with cache_of(tier, secret) as cache, cache.sequence() as sequence:
        sequence.append(token_ids, k, k)
        assert sequence.persist()


def found_tokens(tier, secret, token_ids):
    with cache_of(tier, secret) as cache, cache.load(token_ids) as load:
        return load.wait()


def test_tenants_find_their_own_blocks_and_nobody_else_s():
    tier, sealing = open_sealed(new_disk(), replace(SMALL, max_blocks=64))
    me, you = sealing.tenant("me"), sealing.tenant("you")
    tokens = list(range(32))
    store_tokens(tier, me.secret.reveal(), tokens)
    assert found_tokens(tier, me.secret.reveal(), tokens) == 32
    before = tier.stats()
    assert found_tokens(tier, you.secret.reveal(), tokens) == 0
    assert found_tokens(tier, b"me", tokens) == 0
    after = tier.stats()
    # As for a block that nobody has: the index is asked, the device is not.
    assert after.engine.reads == before.engine.reads
    assert after.counts.hits == before.counts.hits
    assert found_tokens(tier, me.secret.reveal(), tokens) == 32


def test_a_purged_tenant_s_blocks_are_misses_even_from_older_files():
    disk = new_disk()
    tier, sealing = open_sealed(disk, replace(SMALL, max_blocks=64))
    me, you = sealing.tenant("me"), sealing.tenant("you")
    mine = {key_of(n): value_of(n, 0, 5000) for n in range(3)}
    for key, value in mine.items():
        assert tier.put(key, value, Attributes(tenant=me.tag))
    assert tier.put(key_of(9), b"yours", Attributes(tenant=you.tag))
    tier.flush()
    older = {name: disk.content(name) for name in disk.names() if name != "keys"}
    assert sealing.purge("me")
    assert not sealing.purge("me")
    assert [tier.get(key) for key in mine] == [None] * 3
    assert tier.get(key_of(9)) == b"yours"
    assert tier.stats().counts.misses_sealed == 3
    assert not tier.put(key_of(1), b"again", Attributes(tenant=me.tag)) or tier.get(key_of(1))
    tier.close()
    for name, content in older.items():
        disk.rot(name, 0, content)
    tier, sealing = open_sealed(disk, replace(SMALL, max_blocks=64))
    assert [tier.get(key) for key in mine] == [None] * 3
    assert tier.get(key_of(9)) == b"yours"
    assert sealing.tenant("me").secret.reveal() != me.secret.reveal()


def test_a_put_whose_tenant_was_purged_meanwhile_is_not_kept_and_harms_no_other(monkeypatch):
    tier, _ = open_sealed(new_disk())
    tier.put(key_of(1), b"first")
    real = StoreSealing.seal

    def purged(self, header, plain, into):
        if header.key == key_of(2):
            raise SealError("the tenant was purged")
        return real(self, header, plain, into)

    monkeypatch.setattr(StoreSealing, "seal", purged)
    stored = tier.put_many([(key_of(n), b"v%d" % n * 900, Attributes()) for n in (2, 3)])
    assert stored == [False, True]
    assert tier.get(key_of(2)) is None
    assert tier.get(key_of(3)) == b"v3" * 900
    assert tier.stats().state == "ok"
    assert tier.check().sound


def test_one_tenant_too_many_is_a_put_that_fails(monkeypatch):
    tier, _ = open_sealed(new_disk())
    monkeypatch.setattr(sealing_module.StoreKeys, "key_or_new", _full)
    assert not tier.put(key_of(1), b"value")
    counts = tier.stats().counts
    assert (counts.puts, counts.puts_failed) == (1, 1)


def _full(self, tag):
    raise SealError("no more fit")


# What can be seen


def test_the_canary_is_nowhere_on_disk(disk_folder):
    """Blocks of every length, moved, overwritten and deleted, tenants' names, token ids."""
    config = SsdTierConfig(12 * MIB, MIB, max_blocks=256, flush_every_s=None)
    folder = disk_folder / "store"
    token_ids = list(np.frombuffer(CANARY.ljust(64), "<u4"))
    for _ in range(2):
        sealing = StoreSealing(MASTER)
        with real_store(folder, config, sealing) as tier:
            me = sealing.tenant(CANARY.decode())
            for version in range(40):
                value = CANARY * (1 + 997 * (version % 8))
                tier.put(key_of(version % 11), value, Attributes(tenant=me.tag))
                tier.get(key_of(version % 3))
            tier.delete(key_of(1))
            store_tokens(tier, me.secret.reveal(), token_ids)
            assert tier.flush()
            assert tier.stats().counts.hits > 0
            secret = me.secret.reveal()
    n_bytes = 0
    for path in folder.iterdir():
        raw = path.read_bytes()
        n_bytes += len(raw)
        for needle in (CANARY, CANARY[:12], CANARY[12:24], MASTER_BYTES, secret):
            assert needle not in raw, path.name
            assert needle.hex().encode() not in raw, path.name
    assert n_bytes > 10 * MIB


def test_the_same_test_finds_the_canary_in_a_plain_store():
    disk = new_disk()
    tier = open_small(disk, disk)
    tier.put(key_of(1), CANARY)
    assert any(CANARY in disk.content(name) for name in disk.names())


def variables_of(error: BaseException | None) -> list[str]:
    """Return the variables of every call that an error and its causes went through, but ours."""
    told = []
    while error is not None:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        told += [str(frame.locals) for frame in shown.stack if frame.filename != __file__]
        error = error.__cause__ or error.__context__
    return told


def test_no_secret_is_in_a_repr_a_message_a_traceback_or_a_metric(caplog):
    """Every way in which opening fails, with the variables of every call shown."""
    disk = new_disk()
    tier, sealing = open_sealed(disk)
    fill(tier)
    tenant = sealing.tenant("me")
    keys = sealing.keys
    secrets = [MASTER_BYTES, MASTER.wrapping_key().reveal(), tenant.secret.reveal()]
    secrets += [keys._data.reveal(), keys._names.reveal(), keys.key(tenant.tag).reveal()]
    secrets += [lane.key.reveal() for lane in sealing._lanes._lanes.values()]
    told = [repr(one) for one in (sealing, keys, tenant, keys._open, sealing._lanes._lanes, tier)]
    told += [repr(keys._table), tier.stats().prometheus(), repr(tier.stats()), repr(tier._core)]
    header, stored = sealed(sealing, header_of(), plain_of(1))
    tier.close()
    damaged = disk.reopened()
    damaged.rot("keys", 20, b"x" * 9000)
    for attempt in (
        lambda: open_small(disk, disk),
        lambda: open_sealed(disk, master=OTHER),
        lambda: open_sealed(damaged),
        lambda: keys.key(b"unknown tenant.."),
        lambda: sealing.open(header, memoryview(stored)),
        lambda: unlocked().open(header, memoryview(stored)),
        lambda: keys._open.clear() or keys._rows.clear() or keys.key(tenant.tag),
    ):
        with pytest.raises(StorageError) as failed:
            attempt()
        told += [*variables_of(failed.value), str(failed.value)]
    told += caplog.messages
    for secret in secrets:
        for form in (secret.hex(), repr(secret)[2:-1], repr(secret[:16])[2:-1]):
            assert not any(form in text for text in told)
    assert len(told) > 20


def test_flipped_bits_are_misses_whether_the_store_was_closed_or_killed():
    """Without anybody making the sums fit: what disks do by themselves."""
    rng = np.random.default_rng(5)
    for closes in (True, False):
        disk = new_disk()
        tier, _ = open_sealed(disk)
        blocks = fill(tier)
        tier.flush()
        if closes:
            tier.close()
        for _ in range(60):
            copy = disk.reopened()
            name = f"segment-{rng.integers(3):05d}"
            at = int(rng.integers(PAGE_BYTES, copy.size(name) - PAGE_BYTES))
            byte = copy.content(name)[at] ^ (1 << int(rng.integers(8)))
            copy.rot(name, at, bytes([byte]))
            damaged, _ = open_sealed(copy)
            found = {key: damaged.get(key) for key in blocks}
            assert all(value in (None, blocks[key]) for key, value in found.items())
            assert list(found.values()).count(None) <= 1


def test_one_sealing_is_for_one_open_store():
    _, sealing = open_sealed(new_disk())
    other = new_disk()
    with pytest.raises(KeyTableError, match="make another one"):
        open_small(other, other, sealing=sealing)
    assert "keys" not in other.names()


def test_a_forked_child_neither_seals_nor_writes_keys():
    disk = new_disk()
    _, sealing = open_sealed(disk)
    header, stored = sealed(sealing, header_of(), plain_of(1))
    child = os.fork()
    if child == 0:
        refused = 0
        for attempt in (
            lambda: sealing.tenant("new"),
            lambda: sealing.seal(header, memoryview(plain_of(1)), memoryview(stored)),
            lambda: sealing.open(header, memoryview(stored)),
        ):
            try:
                attempt()
            except SealError:
                refused += 1
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert opened(sealing, header, stored) == plain_of(1)
