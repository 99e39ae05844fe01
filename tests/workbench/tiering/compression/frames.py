"""Frames of toy keys and values, and what they are in a layout."""

import numpy as np

from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.tiered_kv_cache import BlockLayout

# Three layers in frames of two: the last frame has one. Heads of 64 take the vector paths.
LAYOUT = BlockLayout(KVGeometry(3, 2, 64, "float16"), block_tokens=16, frame_layers=2)
SMALL = BlockLayout(KVGeometry(1, 3, 4, "float16"), block_tokens=2, frame_layers=1)
LAYOUTS = (LAYOUT, SMALL)


def frame_of(layout, number=0, seed=0):
    """Return uint8[frame_bytes]: channels of different sizes, and noise behind the layers."""
    rng = np.random.default_rng([seed, number])
    frame = rng.integers(0, 256, layout.frame_bytes).astype(np.uint8)
    planes = planes_of(layout, frame, number)
    width = planes.shape[-1]
    values = rng.standard_normal(planes.shape) * rng.choice([0.1, 1, 8], width)
    planes[:] = (values + rng.integers(-2, 3, width)).astype(np.float16)
    return frame


def planes_of(layout, frame, number=0):
    """Return a frame's values as float16[layers, 2, tokens, width], a view."""
    geometry = layout.geometry
    layers = min(layout.frame_layers, geometry.layers - number * layout.frame_layers)
    values = frame[: layers * layout.layer_bytes].view(np.float16)
    return values.reshape(layers, 2, layout.block_tokens, geometry.kv_heads * geometry.head_dim)


def coded(codec, frame, number=0, **options):
    """Return what a codec stores for a frame: bytes of their own."""
    out = np.full(codec.max_stored_bytes + 8, 0xAA, np.uint8)
    n_bytes = codec.encode(frame, number, out[: codec.max_stored_bytes], **options)
    assert (out[codec.max_stored_bytes :] == 0xAA).all()
    return out[:n_bytes].copy()


def restored(codec, stored, number=0):
    """Return the frame that a codec makes of stored bytes, on a background of ones."""
    frame = np.full(codec.layout.frame_bytes, 0xFF, np.uint8)
    codec.decode(stored, number, frame)
    return frame
