"""Measure the grid of Day 22: every codec on the real model's frames, and on another geometry's.

Follows: the values are the real model's in both: its own blocks, and the same values over again in
the other shape, so that what an entropy coder finds is real.
Leaves out: tables (codec_tables.py); quality of another model.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workbench.benchmark.codecs import codec_rates, codec_restore
from workbench.benchmark.codecs.codec_quality import Halves, Quality
from workbench.benchmark.codecs.codec_rates import Bytes, Step
from workbench.benchmark.codecs.codec_tables import Grid
from workbench.tiering.encryption.cipher import NONCE_BYTES, decrypt, encrypt
from workbench.tiering.encryption.secret import Secret
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.memory import allocate
from workbench.tiering.ssd_tier.checksum import payload_sum
from workbench.tiering.tiered_kv_cache import BlockLayout

# Llama 3.1 8B: 128 KiB a token.
LARGER = KVGeometry(layers=32, kv_heads=8, head_dim=128, dtype="float16")
_MODEL_FRAMES = 40


def _summed(frame: Bytes) -> bytes:
    return payload_sum(frame.data)


class _Sealed:
    """Seals frames of one length, and opens one of them again and again where it was read to."""

    def __init__(self, frame_bytes: int) -> None:
        self._key, self._bound = Secret.random(), bytes(216)
        self._nonces = itertools.count()
        self._sealed, self._opened = allocate(2 * frame_bytes).reshape(2, -1)
        self._nonce, self._tag = b"", b""

    def seal(self, frame: Bytes) -> None:
        """Encrypt a frame into other memory."""
        self._nonce = next(self._nonces).to_bytes(NONCE_BYTES, "big")
        place = self._sealed.data
        self._tag = encrypt(self._key, self._nonce, self._bound, frame.data, place)

    def open(self, frame: Bytes) -> None:
        """Decrypt the frame that was sealed last; the copy that stands in for the read counts."""
        self._opened[:] = self._sealed
        decrypt(self._key, self._nonce, self._bound, self._tag, self._opened.data)


def beside(frame_bytes: int) -> dict[str, tuple[Step, Step]]:
    """Return what a frame goes through besides, on its way out and back: summed, and sealed."""
    sealed = _Sealed(frame_bytes)
    return {"checksum": (_summed, _summed), "AES-256-GCM": (sealed.seal, sealed.open)}


def of_model(
    store: Path, quality: Quality, names: Sequence[str], restored_tokens: int, rounds: int
) -> Grid:
    """Time the codecs on the scored prefix's frames, and restores of a longer one.

    Raises
    ------
    MediumError   as `codec_restore.measure`
    """
    k, v = (repeated(side, restored_tokens) for side in (quality.k, quality.v))
    _, layers, heads, head_dim = k.shape
    layout = BlockLayout(KVGeometry(layers, heads, head_dim, "float16"))
    # Frames of as many layers as any; 11 MiB are more than the caches hold.
    frames = codec_rates.frames_of(layout, k, v)[:_MODEL_FRAMES]
    speed = codec_rates.measure(layout, frames, names, rounds, beside(layout.frame_bytes))
    restore = codec_restore.measure(store, k, v, names, rounds)
    return Grid(speed, restore, quality)


def of_geometry(
    quality: Quality, geometry: KVGeometry, names: Sequence[str], n_frames: int, rounds: int
) -> Grid:
    """Time the codecs on frames of another geometry that hold the real model's values."""
    layout = BlockLayout(geometry)
    values = np.concatenate([quality.k.ravel(), quality.v.ravel()]).view(np.uint16)
    frames = codec_rates.random_frames(layout, n_frames, seed=0)
    halves = frames.reshape(-1).view(np.uint16)
    for start in range(0, halves.size, values.size):
        part = halves[start : start + values.size]
        part[:] = values[: part.size]
    return Grid(codec_rates.measure(layout, frames, names, rounds, beside(layout.frame_bytes)))


def repeated(side: Halves, n_tokens: int) -> Halves:
    """Return the tokens' values over and over, as many tokens as asked for."""
    times = -(-n_tokens // len(side))
    return np.ascontiguousarray(np.tile(side, (times, 1, 1, 1))[:n_tokens])
