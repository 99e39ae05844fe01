"""Lossless: every bit pattern, and real keys' kind of values get smaller."""

import numpy as np

from tests.workbench.tiering.compression.frames import (
    LAYOUT,
    coded,
    frame_of,
    planes_of,
    restored,
)
from workbench.tiering import compression


def test_nans_and_noise_come_back_bit_for_bit():
    codec = compression.create("lossless", LAYOUT)
    frame = np.random.default_rng(0).integers(0, 256, LAYOUT.frame_bytes).astype(np.uint8)
    planes_of(LAYOUT, frame)[0, 0, 0, :4] = [np.nan, np.inf, -np.inf, -0.0]
    stored = coded(codec, frame)
    assert stored.nbytes > LAYOUT.frame_layers * LAYOUT.layer_bytes
    got = planes_of(LAYOUT, restored(codec, stored))
    np.testing.assert_array_equal(got.view(np.uint16), planes_of(LAYOUT, frame).view(np.uint16))


def test_values_of_like_magnitudes_get_smaller():
    codec, frame = compression.create("lossless", LAYOUT), frame_of(LAYOUT)
    plain = LAYOUT.frame_layers * LAYOUT.layer_bytes
    assert plain / coded(codec, frame).nbytes > 1.1
