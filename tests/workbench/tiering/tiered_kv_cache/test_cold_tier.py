"""Test that blocks go to the SSD tier whole, frame by frame, and nobody else's come back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import BLOCK_BYTES, config, ssd_on
from workbench.tiering import compression
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache.block_key import BlockKeys, frame_key
from workbench.tiering.tiered_kv_cache.cold_tier import ColdTier, FrameAt
from workbench.tiering.tiered_kv_cache.layout import BlockLayout

LAYOUT = config().layout
KEYS = BlockKeys(LAYOUT, fingerprint=b"toy")
KEY = bytes(range(32))


@pytest.fixture
def store():
    with ssd_on(sim_disk()) as (ssd, faults):
        yield ssd, ColdTier(ssd, LAYOUT, KEYS.attributes), faults


def frames_of(memory):
    return [memory[LAYOUT.frame_slice(frame)] for frame in range(LAYOUT.n_frames)]


def block(seed=0):
    memory = allocate(BLOCK_BYTES)
    memory[:] = np.random.default_rng(seed).integers(0, 256, BLOCK_BYTES)
    return memory


def get(cold, key=KEY):
    memory = allocate(BLOCK_BYTES)
    here = cold.get([FrameAt(key, n, frame) for n, frame in enumerate(frames_of(memory))])
    return here, memory


def test_a_block_comes_back_frame_by_frame(store):
    _, cold, _ = store
    assert not cold.contains(KEY)
    assert cold.put([(KEY, frames_of(block()))]) == [True]
    assert cold.contains(KEY)
    here, memory = get(cold)
    assert here == [True] * 3
    assert (memory == block()).all()
    assert (cold.written_bytes, cold.read_bytes) == (BLOCK_BYTES, BLOCK_BYTES)
    assert (cold.blocks, cold.blocks_unread) == (1, 0)
    assert cold.flush()


def test_a_block_without_one_of_its_frames_is_not_there(store):
    ssd, cold, _ = store
    cold.put([(KEY, frames_of(block()))])
    ssd.delete(frame_key(KEY, 1))
    assert not cold.contains(KEY)
    assert get(cold)[0] == [True, False, True]


def test_a_block_that_is_not_written_whole_is_not_written(store):
    _, cold, faults = store
    faults.add(Fault("error", "write", nth=1))
    other = bytes(32)
    stored = cold.put([(KEY, frames_of(block())), (other, frames_of(block(1)))])
    assert stored == [cold.contains(KEY), cold.contains(other)]
    assert not all(stored)
    assert cold.written_bytes == sum(stored) * BLOCK_BYTES


@pytest.mark.parametrize("error", [StorageError("forked"), MemoryError()])
def test_a_tier_that_is_broken_misses_and_takes_nothing(store, monkeypatch, error):
    ssd, cold, _ = store

    def refuse(*given):
        raise error

    for name in ("put_many", "get_many", "flush"):
        monkeypatch.setattr(type(ssd), name, refuse)
    assert cold.put([(KEY, frames_of(block()))]) == [False]
    assert get(cold)[0] == [False] * 3
    assert not cold.flush()
    monkeypatch.undo()


def test_frames_of_another_model_tenant_or_length_are_misses(store):
    ssd, cold, _ = store
    cold.put([(KEY, frames_of(block()))])
    for others in (
        BlockKeys(LAYOUT, fingerprint=b"other"),
        BlockKeys(LAYOUT, fingerprint=b"toy", tenant=b"x"),
        BlockKeys(LAYOUT, fingerprint=b"toy", codec=1),
    ):
        assert get(ColdTier(ssd, LAYOUT, others.attributes))[0] == [False] * 3
    short = bytes([7]) * 32
    for frame in range(3):
        ssd.put(frame_key(short, frame), bytes(100), KEYS.attributes)
    assert get(cold, short)[0] == [False] * 3


HALVES = BlockLayout(KVGeometry(5, 2, 64, "float16"), 8, 2)
FIRST, LATER = bytes([1]) * 32, bytes([2]) * 32


def halves(seed=0):
    """Return a block of float16 values, page-aligned."""
    memory = allocate(HALVES.block_bytes)
    values = memory.view(np.float16)
    values[:] = np.random.default_rng(seed).standard_normal(values.size)
    return memory


def frames_in(memory):
    return [memory[HALVES.frame_slice(frame)] for frame in range(HALVES.n_frames)]


MIXED = "int8,int4:1-2,int8+zstd:4"


def attributes_of(codec):
    number, layers = compression.identity(codec, HALVES.geometry.layers)
    keys = BlockKeys(HALVES, fingerprint=b"toy", codec=number, layer_codecs=layers)
    return keys.attributes


def coded(ssd, codec):
    return ColdTier(ssd, HALVES, attributes_of(codec), codec)


def read(cold, keys):
    blocks = [allocate(HALVES.block_bytes) for _ in keys]
    here = cold.get(
        [
            FrameAt(key, n, frame)
            for key, memory in zip(keys, blocks, strict=True)
            for n, frame in enumerate(frames_in(memory))
        ]
    )
    return here, blocks


def rows_of(memory):
    """Return bool[n_layers * 2, 8, 128] values of the layers, without what lies between frames."""
    sides = []
    for layer in range(HALVES.geometry.layers):
        at = HALVES.places(layer).k
        values = memory[at : at + HALVES.layer_bytes].view(np.float16)
        sides.append(values.reshape(2, 8, 128))
    return np.concatenate(sides)


@pytest.mark.parametrize("codec", [*(name for name in compression.CODECS if name != "none"), MIXED])
def test_blocks_come_back_through_a_codec_in_batches(store, codec):
    ssd, _, _ = store
    keys = [bytes([number, 0]) * 16 for number in range(0, 50, 2)]
    with coded(ssd, codec) as cold:
        assert all(cold.put([(key, frames_in(halves(key[0]))) for key in keys]))
        assert cold.written_bytes == sum(
            ssd.stored_bytes(frame_key(key, frame)) for key in keys for frame in range(3)
        )
        here, blocks = read(cold, [*keys, LATER])
        assert here == [True] * 75 + [False] * 3
        assert cold.read_bytes == cold.written_bytes
        for key, memory in zip(keys, blocks, strict=False):
            error = rows_of(memory).astype(np.float32) - rows_of(halves(key[0]))
            assert np.abs(error).max() <= (0 if codec == "lossless" else 0.8)
        assert cold.undecoded == 0


@pytest.mark.parametrize(
    ("name", "foreign"),
    [("int8", "int4"), (MIXED, "int8"), ("int8", MIXED), (MIXED, "int8,int4:1-2,int8+zstd:3")],
)
def test_one_codecs_blocks_are_not_anothers(store, name, foreign):
    ssd, _, _ = store
    with coded(ssd, name) as cold, coded(ssd, foreign) as other:
        cold.put([(LATER, frames_in(halves()))])
        assert read(other, [LATER])[0] == [False] * 3
        assert read(cold, [LATER])[0] == [True] * 3
        assert other.undecoded == 0


@pytest.mark.parametrize("codec", ["int8+zstd", MIXED])
@pytest.mark.parametrize("payload", [b"", bytes(100), bytes(range(256)) * 40])
def test_what_cannot_be_decoded_is_a_miss_is_counted_and_goes(store, payload, codec):
    ssd, _, _ = store
    with coded(ssd, codec) as cold:
        cold.put([(LATER, frames_in(halves()))])
        wrong = frame_key(LATER, 1)
        ssd.delete(wrong)
        ssd.put(wrong, payload, attributes_of(codec))
        assert read(cold, [LATER])[0] == [True, False, True]
        assert cold.undecoded == 1
        assert not cold.contains(LATER)
        assert read(cold, [LATER])[0] == [True, False, True]
        assert cold.undecoded == 1


def rows_for(cold, keys):
    form = cold.stored_form()
    row_bytes = -(-form.frame_bytes // 4096) * 4096
    names = [(key, frame) for key in keys for frame in range(HALVES.n_frames)]
    memory = allocate(len(names) * row_bytes).reshape(len(names), -1)
    return [FrameAt(*name, row) for name, row in zip(names, memory, strict=True)]


@pytest.mark.parametrize("codec", ["int8", "int4", "int4-hadamard"])
def test_frames_are_read_as_they_are_stored(store, codec):
    ssd, _, _ = store
    with coded(ssd, codec) as cold:
        cold.put([(LATER, frames_in(halves()))])
        frames = rows_for(cold, [LATER, FIRST])
        assert cold.get_stored(frames) == [True] * 3 + [False] * 3
        assert cold.read_bytes == cold.written_bytes
        for one in frames[:3]:
            stored = ssd.get(frame_key(LATER, one.frame))
            assert one.view[: len(stored)].tobytes() == stored
        assert cold.undecoded == 0


def test_what_cannot_be_attended_as_stored_is_a_miss_is_counted_and_goes(store):
    ssd, _, _ = store
    with coded(ssd, "int4") as cold:
        # Of a first block's rows some are kept: whoever asks for it so is wrong.
        cold.put([(FIRST, frames_in(halves())), (LATER, frames_in(halves()))])
        wrong = frame_key(LATER, 1)
        codec = compression.CODECS["int4"].id
        ssd.delete(wrong)
        ssd.put(wrong, bytes(99), BlockKeys(HALVES, fingerprint=b"toy", codec=codec).attributes)
        assert cold.get_stored(rows_for(cold, [FIRST, LATER])) == [False] * 3 + [True, False, True]
        assert cold.undecoded == 4
        assert not cold.contains(LATER)


@pytest.mark.parametrize("error", [StorageError("forked"), MemoryError()])
def test_a_broken_tier_has_no_stored_frames(store, monkeypatch, error):
    ssd, _, _ = store
    with coded(ssd, "int8") as cold:
        cold.put([(LATER, frames_in(halves()))])

        def refuse(*given):
            raise error

        monkeypatch.setattr(type(ssd), "get_many", refuse)
        assert cold.get_stored(rows_for(cold, [LATER])) == [False] * 3
        monkeypatch.undo()


def test_sinks_of_a_first_block_and_the_newest_tokens_of_a_tail_are_kept(store):
    ssd, _, _ = store
    with coded(ssd, "int4") as cold:
        cold.put([(FIRST, frames_in(halves(1))), (LATER, frames_in(halves(2)))])
        _, (first, later) = read(cold, [FIRST, LATER])
        same = [
            (rows_of(got) == rows_of(halves(seed))).all(axis=(0, 2)).tolist()
            for got, seed in ((first, 1), (later, 2))
        ]
        assert same == [[True] * 4 + [False] * 4, [False] * 8]
        tail = bytes([4]) * 32
        cold.put([(tail, frames_in(halves(3)))], tail_tokens=5)
        _, (got,) = read(cold, [tail])
        same = (rows_of(got) == rows_of(halves(3))).all(axis=(0, 2)).tolist()
        assert same == [True] * 5 + [False] * 3
