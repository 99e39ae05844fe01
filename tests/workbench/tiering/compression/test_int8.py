"""int8 a token and head: size, error a head, NaNs."""

import numpy as np

from tests.workbench.tiering.compression.frames import (
    LAYOUT,
    coded,
    frame_of,
    planes_of,
    restored,
)
from workbench.tiering import compression


def test_size_and_error_a_head():
    codec, frame = compression.create("int8", LAYOUT), frame_of(LAYOUT)
    stored = coded(codec, frame)
    source = planes_of(LAYOUT, frame).reshape(-1, 64).astype(np.float64)
    assert stored.nbytes == codec.max_stored_bytes == source.size + 2 * len(source)
    got = planes_of(LAYOUT, restored(codec, stored)).reshape(-1, 64)
    most = np.abs(source).max(axis=1, keepdims=True)
    assert (np.abs(got - source) <= most / 254 * 1.01 + np.abs(source) * 2.0**-11).all()


def test_only_a_head_with_a_nan_reads_back_as_nan():
    codec, frame = compression.create("int8", LAYOUT), frame_of(LAYOUT)
    planes_of(LAYOUT, frame)[1, 0, 3, 70] = np.nan
    got = np.isnan(planes_of(LAYOUT, restored(codec, coded(codec, frame))))
    assert got[1, 0, 3, 64:].all()
    assert got.sum() == 64
