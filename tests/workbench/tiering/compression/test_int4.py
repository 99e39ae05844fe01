"""int4: size, rows that are kept, what they are worth, headers that cannot be."""

import numpy as np
import pytest

from tests.workbench.tiering.compression.frames import (
    LAYOUT,
    coded,
    frame_of,
    planes_of,
    restored,
)
from workbench.tiering import compression
from workbench.tiering.compression import CodecError, Kept
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout

both = pytest.mark.parametrize("name", ["int4", "int4-hadamard"])


@both
def test_it_is_three_and_a_half_times_smaller_at_the_real_models_geometry(name):
    layout = BlockLayout(KVGeometry(30, 3, 64, "float16"))
    stored = coded(compression.create(name, layout), frame_of(layout))
    assert layout.frame_bytes / stored.nbytes == pytest.approx(3.55, abs=0.01)


@both
def test_kept_rows_come_back_bit_for_bit(name):
    codec, frame = compression.create(name, LAYOUT), frame_of(LAYOUT)
    got = planes_of(LAYOUT, restored(codec, coded(codec, frame, kept=Kept(4, 10, 13))))
    same = (got == planes_of(LAYOUT, frame)).all(axis=(0, 1, 3))
    assert same[[0, 1, 2, 3, 10, 11, 12]].all()
    assert same.sum() == 7


@both
def test_a_kept_sink_does_not_widen_the_others_range(name):
    codec, frame = compression.create(name, LAYOUT), frame_of(LAYOUT)
    planes_of(LAYOUT, frame)[:, :, 0] *= 100
    source = planes_of(LAYOUT, frame).astype(np.float64)

    def error(kept):
        got = planes_of(LAYOUT, restored(codec, coded(codec, frame, kept=kept)))
        return np.abs(got - source)[:, 0, 4:].max()

    assert error(Kept(4)) < error(Kept()) / 10


@both
def test_all_rows_can_be_kept_and_no_more_than_allowed(name):
    layout = BlockLayout(KVGeometry(1, 1, 8, "float16"), 8, 1)
    codec, frame = compression.create(name, layout), frame_of(layout)
    got = planes_of(layout, restored(codec, coded(codec, frame, kept=Kept(4, 0, 8))))
    np.testing.assert_array_equal(got, planes_of(layout, frame))
    long = BlockLayout(KVGeometry(1, 1, 8, "float16"), 64, 1)
    codec, frame = compression.create(name, long), frame_of(long)
    got = planes_of(long, restored(codec, coded(codec, frame, kept=Kept(60, 0, 64))))
    same = (got == planes_of(long, frame)).all(axis=(0, 1, 3))
    assert same[:4].all()
    assert same[32:].all()
    assert not same[4:32].all()


@both
@pytest.mark.parametrize("header", [(5, 0, 0, 0), (0, 3, 2, 0), (0, 0, 17, 0), (0, 0, 0, 1)])
def test_headers_that_cannot_be_are_refused(name, header):
    codec = compression.create(name, LAYOUT)
    stored = coded(codec, frame_of(LAYOUT))
    stored[:8].view(np.uint16)[:] = header
    with pytest.raises(CodecError):
        restored(codec, stored)
