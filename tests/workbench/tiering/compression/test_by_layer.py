"""Every layer comes back as its own codec gives it alone; tables that cannot be are refused."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.tiering.compression.frames import (
    LAYOUT,
    coded,
    frame_of,
    planes_of,
    restored,
)
from workbench.errors import UsageError
from workbench.tiering import compression
from workbench.tiering.compression import CODECS, CodecError, Kept, spell
from workbench.tiering.compression.by_layer import ByLayer
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout

KEPT = Kept(4, 10, 13)
ONE = replace(LAYOUT, geometry=replace(LAYOUT.geometry, layers=1), frame_layers=1)
# What a map codes, one codec of each kind; lengths of the last two follow from the values.
KINDS = ["none", "int8", "int4", "lossless", "int4-hadamard+zstd"]


def by_layer(names, layout=LAYOUT):
    return ByLayer(layout, [CODECS[name] for name in names])


def alone(name, frame, kept):
    """Return what a codec makes of a frame's only layer."""
    codec = compression.create(name, ONE)
    return restored(codec, coded(codec, frame, kept=kept))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=9), st.integers(1, 4), st.data())
def test_every_layer_is_what_its_codec_gives_alone(names, frame_layers, data):
    layout = BlockLayout(KVGeometry(len(names), 2, 64, "float16"), 16, frame_layers)
    codec, kept = by_layer(names, layout), data.draw(st.sampled_from([Kept(), KEPT, Kept(16)]))
    for number in range(layout.n_frames):
        frame = frame_of(layout, number)
        got = restored(codec, coded(codec, frame, number, kept=kept), number)
        # What lies behind the layers is left as it was.
        n_layers = len(planes_of(layout, frame, number))
        assert (got[n_layers * layout.layer_bytes :] == 0xFF).all()
        for within in range(n_layers):
            place = slice(within * layout.layer_bytes, (within + 1) * layout.layer_bytes)
            single = np.zeros(ONE.frame_bytes, np.uint8)
            single[: ONE.layer_bytes] = frame[place]
            wanted = alone(names[number * frame_layers + within], single, kept)
            np.testing.assert_array_equal(got[place], wanted[: ONE.layer_bytes])


def test_sizes_are_the_codecs_on_a_grid_and_a_table():
    geometry = KVGeometry(30, 3, 64, "float16")
    layout = BlockLayout(geometry, frame_layers=30)
    frame = frame_of(layout)
    n_bytes = {}
    for name, layers in (("int8", 21), ("int4", 9)):
        part = BlockLayout(replace(geometry, layers=layers), frame_layers=layers)
        n_bytes[name] = coded(compression.create(name, part), frame).nbytes
    # int4 of a run has a header of eight bytes, and both are rounded up to 64.
    mixed = coded(compression.create(spell("int8", {"int4": range(21, 30)}), layout), frame)
    assert sum(n_bytes.values()) + 64 <= mixed.nbytes < sum(n_bytes.values()) + 3 * 64
    assert mixed.nbytes % 64 == 0
    # One run for every layer: a table of two lines, and less than a line lost a layer.
    odd = spell("int8", {"int4": range(1, 30, 2)})
    every_other = coded(compression.create(odd, layout), frame)
    halves = sum(n_bytes[name] * 15 / layers for name, layers in (("int8", 21), ("int4", 9)))
    assert halves < every_other.nbytes < halves + 32 * 64


def test_the_bound_holds_for_what_cannot_be_compressed():
    codec = by_layer(["lossless", "int8+zstd", "int4"])
    for number in range(LAYOUT.n_frames):
        noise = np.random.default_rng(number).integers(0, 256, LAYOUT.frame_bytes)
        stored = coded(codec, noise.astype(np.uint8), number, kept=Kept(16))
        assert stored.nbytes <= codec.max_stored_bytes


@pytest.mark.parametrize("names", [["int8", "int4", "int8"], ["lossless", "int8+zstd", "none"]])
def test_lengths_that_cannot_be_are_refused(names):
    codec = by_layer(names)
    whole = coded(codec, frame_of(LAYOUT))
    n, rest = whole[:8].view("<u4").tolist()
    for lengths in (
        *((0, 0), (n, 0), (0, rest), (rest, n), (n + 64, rest - 64), (n - 64, rest + 64)),
        *((n + 64, rest), (0xFFFFFFFF, rest), (n, 0xFFFFFFFF), (1 << 31, 1 << 31)),
        # On the grid they are as long; each codec still refuses its own.
        *((n - 1, rest), (n, rest - 1)),
    ):
        stored = whole.copy()
        stored[:8].view("<u4")[:] = lengths
        with pytest.raises(CodecError):
            restored(codec, stored)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([0, 64, 1 << 14]), st.data())
def test_garbage_is_an_error_or_values_and_never_anything_else(start, more, data):
    codec = by_layer(data.draw(st.sampled_from([["int8", "int4", "int8"], ["lossless"] * 3])))
    rng = np.random.default_rng(len(start))
    stored = np.concatenate(
        [np.frombuffer(start, np.uint8), rng.integers(0, 256, more).astype(np.uint8)]
    )
    guarded = np.full(LAYOUT.frame_bytes + 4096, 0xAA, np.uint8)
    with contextlib.suppress(CodecError):
        codec.decode(stored, 0, guarded[: LAYOUT.frame_bytes])
    assert (guarded[LAYOUT.frame_bytes :] == 0xAA).all()


def test_another_map_of_the_same_codecs_does_not_read_it():
    """Keys differ; this is what happens if they did not."""
    stored = coded(by_layer(["int8", "int4", "int8"]), frame_of(LAYOUT))
    with pytest.raises(CodecError):
        restored(by_layer(["int4", "int8", "int8"]), stored)


def test_codecs_are_one_a_layer_and_take_the_layout():
    with pytest.raises(UsageError, match="2 codecs were given for 3 layers"):
        by_layer(["int8", "int4"])
    floats = BlockLayout(KVGeometry(2, 1, 8, "float32"), 4, 1)
    with pytest.raises(UsageError, match="codec 'int8' codes float16"):
        by_layer(["none", "int8"], floats)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_layers_of_other_dtypes_can_only_stay_as_they_are(dtype):
    layout = BlockLayout(KVGeometry(3, 2, 6, dtype), 4, 2)
    codec = by_layer(["none"] * 3, layout)
    frame = np.random.default_rng(0).integers(0, 256, layout.frame_bytes).astype(np.uint8)
    got = restored(codec, coded(codec, frame))
    n_bytes = 2 * layout.layer_bytes
    np.testing.assert_array_equal(got[:n_bytes], frame[:n_bytes])


def test_frames_of_several_codecs_are_decoded_before_they_are_attended():
    assert compression.create("int8,int4:1", LAYOUT).stored_form() is None
