"""int8 a channel: keys whose channels differ are nearer than with a scale a token."""

import numpy as np

from tests.workbench.tiering.compression.frames import (
    LAYOUT,
    coded,
    frame_of,
    planes_of,
    restored,
)
from workbench.tiering import compression


def test_keys_with_a_large_channel_are_nearer_and_values_the_same():
    frame = frame_of(LAYOUT)
    planes_of(LAYOUT, frame)[:, 0, :, 5] = 500
    errors, values = {}, {}
    for name in ("int8", "int8-channel"):
        codec = compression.create(name, LAYOUT)
        got = planes_of(LAYOUT, restored(codec, coded(codec, frame)))
        errors[name] = np.abs(got[:, 0].astype(float) - planes_of(LAYOUT, frame)[:, 0]).mean()
        values[name] = got[:, 1]
    assert errors["int8-channel"] < errors["int8"] / 4
    np.testing.assert_array_equal(values["int8-channel"], values["int8"])
