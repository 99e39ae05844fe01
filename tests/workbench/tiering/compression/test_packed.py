"""Combinations: the other codec's values, in fewer bytes; lengths that cannot be."""

import numpy as np
import pytest

from tests.workbench.tiering.compression.frames import LAYOUT, coded, frame_of, restored
from workbench.tiering import compression
from workbench.tiering.compression import CodecError, Kept


@pytest.mark.parametrize("name", ["int8", "int4-hadamard"])
def test_the_other_codecs_values_in_fewer_bytes(name):
    plain, packed = (compression.create(one, LAYOUT) for one in (name, f"{name}+zstd"))
    frame, kept = frame_of(LAYOUT), Kept(4, 8, 12)
    one, other = (coded(codec, frame, kept=kept) for codec in (plain, packed))
    assert other.nbytes < one.nbytes
    np.testing.assert_array_equal(restored(packed, other), restored(plain, one))


@pytest.mark.parametrize("length", [0, 1 << 31, 0xFFFFFFFF])
def test_lengths_that_cannot_be_are_refused(length):
    codec = compression.create("int8+zstd", LAYOUT)
    stored = coded(codec, frame_of(LAYOUT))
    stored[:4].view(np.uint32)[0] = length
    with pytest.raises(CodecError):
        restored(codec, stored)
