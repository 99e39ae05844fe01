"""The identity stores whole frames."""

import numpy as np

from tests.workbench.tiering.compression.frames import LAYOUT, coded, frame_of, restored
from workbench.tiering import compression


def test_the_whole_frame_comes_back():
    codec, frame = compression.create("none", LAYOUT), frame_of(LAYOUT)
    np.testing.assert_array_equal(restored(codec, coded(codec, frame)), frame)
