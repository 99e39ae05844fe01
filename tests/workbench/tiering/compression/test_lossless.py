"""Lossless: every bit pattern, and a real model's keys and values get smaller."""

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
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout


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


def test_a_real_models_values_get_a_seventh_smaller_bit_for_bit(golden):
    """float16 that transformers made of 880 tokens: [layers, K and V, tokens, heads * head_dim]."""
    values = np.load(golden / "kv_text1000_f16.npy").view(np.uint16)
    layers, _, n_tokens, width = values.shape
    layout = BlockLayout(KVGeometry(layers, width // 64, 64, "float16"))
    size, codec = layout.block_tokens, compression.create("lossless", layout)
    plain = packed = 0
    for first in range(0, n_tokens - size + 1, size):
        for number in range(layout.n_frames):
            frame = np.zeros(layout.frame_bytes, np.uint8)
            start = number * layout.frame_layers
            planes = planes_of(layout, frame, number).view(np.uint16)
            planes[:] = values[start : start + len(planes), :, first : first + size]
            stored = coded(codec, frame, number)
            got = planes_of(layout, restored(codec, stored, number), number)
            np.testing.assert_array_equal(got.view(np.uint16), planes)
            plain, packed = plain + planes.nbytes, packed + stored.nbytes
    assert plain / packed >= 1.16
    assert plain / packed == pytest.approx(1.165, abs=0.01)
