"""The identity stores the layers, and nothing behind them."""

import numpy as np

from tests.workbench.tiering.compression.frames import (
    LAYOUT,
    SMALL,
    coded,
    frame_of,
    restored,
)
from workbench.tiering import compression


def test_the_whole_frame_comes_back():
    codec, frame = compression.create("none", LAYOUT), frame_of(LAYOUT)
    np.testing.assert_array_equal(restored(codec, coded(codec, frame)), frame)


def test_what_lies_behind_the_layers_is_neither_stored_nor_written():
    codec, frame = compression.create("none", SMALL), frame_of(SMALL)
    stored = coded(codec, frame)
    assert stored.nbytes == SMALL.layer_bytes < SMALL.frame_bytes
    got = restored(codec, stored)
    np.testing.assert_array_equal(got[: SMALL.layer_bytes], frame[: SMALL.layer_bytes])
    assert (got[SMALL.layer_bytes :] == 0xFF).all()
