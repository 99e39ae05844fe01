"""Every codec keeps the contract: sizes, errors, frames of fewer layers, foreign bytes."""

import numpy as np
import pytest

from kernels import block_widen
from tests.workbench.tiering.compression.frames import (
    LAYOUT,
    LAYOUTS,
    SMALL,
    coded,
    frame_of,
    planes_of,
    restored,
)
from workbench.errors import UsageError
from workbench.tiering import compression
from workbench.tiering.compression import CODECS, CodecError, Identity, Kept
from workbench.tiering.compression.by_layer import ByLayer
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout

ATTENDED = ("int8", "int4", "int4-hadamard")
# Of the toy's three layers the last is alone in its frame; the other toy has one layer.
MAPS = ("int8,int4:1", "none,lossless:0,int8+zstd:2", "int4-hadamard+zstd,int8-channel:0-1")
NAMES = (*CODECS, *MAPS)
every = pytest.mark.parametrize("name", NAMES)
# The part of a group's range that a value may be off, and of itself.
BOUNDS = {"int8": 1 / 250, "int8-channel": 1 / 250, "int4": 1 / 29, "int4-hadamard": 1 / 5}


def bound(name):
    """Return the largest bound of a codec's layers."""
    names = [part.split(":")[0].removesuffix("+zstd") for part in name.split(",")]
    return max(BOUNDS.get(one, 0) for one in names)


@every
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_comes_back_is_within_the_bounds(name, layout):
    if name in MAPS and layout.geometry.layers == 1:
        name = name.split(",")[0]
    codec = compression.create(name, layout)
    for number in range(layout.n_frames):
        frame = frame_of(layout, number)
        stored = coded(codec, frame, number)
        assert stored.nbytes <= codec.max_stored_bytes
        got = restored(codec, stored, number)
        source, found = (planes_of(layout, one, number) for one in (frame, got))
        if codec.is_exact:
            np.testing.assert_array_equal(found.view(np.uint16), source.view(np.uint16))
        else:
            spread = np.ptp(source.astype(np.float64))
            error = np.abs(found.astype(np.float64) - source)
            assert error.max() <= spread * bound(name)


@every
def test_encoding_twice_gives_the_same_bytes(name):
    codec = compression.create(name, LAYOUT)
    first = coded(codec, frame_of(LAYOUT))
    coded(codec, frame_of(LAYOUT, seed=1))
    np.testing.assert_array_equal(coded(codec, frame_of(LAYOUT)), first)


@every
def test_other_lengths_are_no_frames(name):
    codec = compression.create(name, LAYOUT)
    stored = coded(codec, frame_of(LAYOUT))
    lengths = [0, 1, 3, 5, 9, len(stored) // 2, len(stored) - 1]
    for wrong in [stored[:length] for length in lengths] + [np.append(stored, np.uint8(0))]:
        with pytest.raises(CodecError):
            restored(codec, wrong)


@every
def test_a_frame_of_other_layers_is_refused(name):
    codec = compression.create(name, LAYOUT)
    with pytest.raises(CodecError):
        restored(codec, coded(codec, frame_of(LAYOUT, 1), 1), 0)


@every
def test_flipped_bytes_are_wrong_values_or_refused_but_never_anything_else(name):
    codec = compression.create(name, LAYOUT)
    stored = coded(codec, frame_of(LAYOUT))
    rng = np.random.default_rng(0)
    guarded = np.full(LAYOUT.frame_bytes + 4096, 0xAA, np.uint8)
    places = [*range(24), *rng.integers(0, len(stored), 200)]
    for place in places:
        damaged = stored.copy()
        damaged[place] ^= 1 << rng.integers(0, 8)
        try:
            codec.decode(damaged, 0, guarded[: LAYOUT.frame_bytes])
        except CodecError:
            continue
        finally:
            assert (guarded[LAYOUT.frame_bytes :] == 0xAA).all()


@pytest.mark.parametrize("name", ATTENDED)
@pytest.mark.parametrize("number", [0, 1])
def test_stored_frames_are_attended_as_they_would_be_decoded(name, number):
    codec = compression.create(name, LAYOUT)
    form = codec.stored_form()
    stored = coded(codec, frame_of(LAYOUT, number), number)
    codec.require_stored(stored, number)
    assert stored.nbytes <= form.frame_bytes <= codec.max_stored_bytes
    planes = planes_of(LAYOUT, restored(codec, stored, number), number)
    for layer, expected in enumerate(planes, number * LAYOUT.frame_layers):
        sides = np.zeros((2, 16, 2, 64), np.float32)
        places = np.array(form.places[layer], np.int64)
        block_widen.KERNEL.variants["njit"](*sides, stored, places, form.dtype, 16)
        np.testing.assert_array_equal(sides, expected.astype(np.float32).reshape(sides.shape))


@pytest.mark.parametrize("name", CODECS)
def test_what_is_not_attended_as_stored_says_so(name):
    assert (compression.create(name, LAYOUT).stored_form() is not None) == (name in ATTENDED)
    codec = compression.create(name, SMALL)
    assert codec.stored_form() is None
    if name not in ATTENDED:
        with pytest.raises(CodecError, match="must be decoded"):
            codec.require_stored(coded(codec, frame_of(SMALL)), 0)


@pytest.mark.parametrize("name", ATTENDED)
def test_only_whole_frames_without_kept_rows_are_attended_as_stored(name):
    codec = compression.create(name, LAYOUT)
    stored = coded(codec, frame_of(LAYOUT))
    wrong = [stored[:0], stored[:-1], np.append(stored, np.uint8(0))]
    wrong.append(coded(codec, frame_of(LAYOUT, 1), 1))
    kept = [coded(codec, frame_of(LAYOUT), kept=one) for one in (Kept(4), Kept(0, 3, 7))]
    for one in [*wrong, *(one for one in kept if one.nbytes != stored.nbytes)]:
        with pytest.raises(CodecError):
            codec.require_stored(one, 0)
    if name != "int8":
        assert len(kept[0]) > len(stored)
        stored[:2].view(np.uint16)[0] = 4
        with pytest.raises(CodecError, match="keeps rows"):
            codec.require_stored(stored, 0)


@every
def test_no_codecs_bytes_are_anothers(name):
    """Keys and frames carry the number; this is what happens if they were wrong."""
    stored = coded(compression.create(name, LAYOUT), frame_of(LAYOUT))
    same_size = {"int4", "int4-hadamard"}
    for other in NAMES:
        if other == name or {name, other} <= same_size:
            continue
        with pytest.raises(CodecError):
            restored(compression.create(other, LAYOUT), stored)


def test_numbers_are_fixed_for_ever():
    numbers = {name: codec.id for name, codec in CODECS.items()}
    assert numbers == {
        "none": 0,
        "lossless": 1,
        "int8": 2,
        "int8-channel": 3,
        "int4": 4,
        "int4-hadamard": 5,
        "int8+zstd": 6,
        "int4-hadamard+zstd": 7,
    }
    for name, number in (numbers | {"by-layer": 16}).items():
        assert compression.codec_class(number).name == name
    with pytest.raises(CodecError, match="codec 99 is not known"):
        compression.codec_class(99)


def test_a_map_of_one_codec_is_that_codec():
    codec = compression.create("int4,int8:0-1,int8:2", LAYOUT)
    assert type(codec) is CODECS["int8"]
    assert compression.identity("int4,int8:0-2", 3) == compression.identity("int8", 3)
    assert compression.identity("int8", 3) == Identity(2, b"")


def test_maps_that_differ_have_other_identities():
    said = ["int8,int4:1", "int8,int4:2", "int4,int8:1", "int8,int4-hadamard:1", "int8", "int4"]
    assert len({compression.identity(one, 3) for one in said}) == len(said)
    assert compression.identity("int8,int4:1", 3) == Identity(16, bytes([2, 0, 4, 0, 2, 0]))
    same = compression.identity("int8,int4:1,int4:2", 3)
    assert same == compression.identity("int4, int8:0", 3)
    assert isinstance(compression.create("int8,int4:1", LAYOUT), ByLayer)


def test_a_maps_problems_are_all_named():
    floats = BlockLayout(KVGeometry(2, 1, 6, "float32"), block_tokens=3)
    problems = compression.problems_with("int8,int4:1-2,lossless:7", floats)
    words = ("layers 1-2", "layer 7", "'int8' codes", "'int4' codes", "even", "'lossless' codes")
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems, strict=True))
    with pytest.raises(UsageError) as told:
        compression.create("int8,int4:1-2,lossless:7", floats)
    assert told.value.problems == problems


def test_names_and_layouts_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="did you mean int8"):
        compression.create("int88", LAYOUT)
    assert "unknown codec" in compression.problems_with("zip", LAYOUT)[0]
    floats = BlockLayout(KVGeometry(1, 1, 6, "float32"), block_tokens=3)
    assert compression.problems_with("none", floats) == []
    problems = compression.problems_with("int4-hadamard", floats)
    assert [word in "".join(problems) for word in ("float16", "even", "power")] == [True] * 3
    with pytest.raises(UsageError, match="keeps float32"):
        compression.create("int8+zstd", floats)
