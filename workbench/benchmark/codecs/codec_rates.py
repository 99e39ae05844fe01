"""Time every codec on frames of one geometry beside a copy of the same bytes.

Follows: one frame after another, as the cold tier has them, on one thread; rates count the plain
bytes, which encoding reads and decoding writes. The copy reads and writes as many.
Leaves out: the device (codec_restore.py), and what is lost (codec_quality.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from kernels import copy
from workbench.benchmark.memory_ceiling import VARIANTS
from workbench.benchmark.paired import Case, Samples, interleave
from workbench.benchmark.progress import meter
from workbench.tiering import compression
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache import BlockLayout

COPY = "copy"
_PAGE_BYTES = 4096

Bytes = NDArray[np.uint8]
Step = Callable[[Bytes], object]


@dataclass(frozen=True, slots=True)
class CodecSpeed:
    """What `measure` found: cases `COPY`, ``encode NAME`` and ``decode NAME``; work in bytes.

    Attributes
    ----------
    ratios : dict    plain bytes over stored ones, by codec, whole pages of neither counted
    beside : tuple   names of the steps that are no codecs, whose cases are named alike
    """

    geometry: KVGeometry
    samples: Samples
    ratios: dict[str, float]
    beside: tuple[str, ...] = ()


def random_frames(layout: BlockLayout, n_frames: int, seed: int) -> Bytes:
    """Return uint8[n_frames, frame_bytes] of normally distributed float16."""
    rng = np.random.default_rng(seed)
    frames = allocate(n_frames * layout.frame_bytes).reshape(n_frames, -1)
    for frame in frames:
        frame.view(np.float16)[:] = rng.standard_normal(layout.frame_bytes // 2, np.float32)
    return frames


def frames_of(layout: BlockLayout, k: NDArray[np.float16], v: NDArray[np.float16]) -> Bytes:
    """Return the frames of a sequence's full blocks, uint8[n_frames, frame_bytes].

    Parameters
    ----------
    k, v : float16[n_tokens, layers, kv_heads, head_dim]
    """
    geometry, size = layout.geometry, layout.block_tokens
    n_blocks = len(k) // size
    memory = allocate(n_blocks * layout.block_bytes).reshape(n_blocks, -1)
    for number, block in enumerate(memory):
        rows = slice(number * size, (number + 1) * size)
        for layer in range(geometry.layers):
            at, values = layout.places(layer).k, np.stack([k[rows, layer], v[rows, layer]])
            block[at : at + layout.layer_bytes] = values.view(np.uint8).ravel()
    return memory.reshape(-1, layout.frame_bytes)


def measure(
    layout: BlockLayout,
    frames: Bytes,
    names: Sequence[str],
    rounds: int,
    beside: Mapping[str, tuple[Step, Step]] | None = None,
) -> CodecSpeed:
    """Encode and decode all frames with every codec, interleaved with copies.

    Parameters
    ----------
    frames : uint8[n, frame_bytes]   first frames of blocks: of as many layers as any
    beside : mapping, optional       what else is done to a frame: on its way out, and back

    Cost    ``rounds + 1`` times all frames twice a codec.
    """
    target = allocate(frames.nbytes).reshape(frames.shape)
    copied = copy.KERNEL.variants[VARIANTS["copy"][-1]]
    cases = [Case(COPY, lambda: _timed_copy(copied, target, frames), float(frames.nbytes))]
    ratios = {}
    for name in names:
        coder = _Coder(name, layout, frames, target)
        cases += [
            Case(f"encode {name}", coder.encode, float(frames.nbytes)),
            Case(f"decode {name}", coder.decode, float(frames.nbytes)),
        ]
        coder.encode()
        ratios[name] = coder.ratio
    beside = beside or {}
    for name, steps in beside.items():
        cases += [
            Case(f"{way} {name}", _each(step, frames), float(frames.nbytes))
            for way, step in zip(("encode", "decode"), steps, strict=True)
        ]
    with meter("codecs", rounds) as on_round:
        samples = interleave(cases, rounds, on_round)
    return CodecSpeed(layout.geometry, samples, ratios, tuple(beside))


def _each(step: Step, frames: Bytes) -> Callable[[], float]:
    def run() -> float:
        start = perf_counter()
        for frame in frames:
            step(frame)
        return perf_counter() - start

    return run


def _timed_copy(copied: object, target: Bytes, source: Bytes) -> float:
    assert callable(copied)
    start = perf_counter()
    copied(target.reshape(-1), source.reshape(-1))
    return perf_counter() - start


class _Coder:
    """One codec, the frames and room for what it stores."""

    def __init__(self, name: str, layout: BlockLayout, frames: Bytes, target: Bytes) -> None:
        self._codec = compression.create(name, layout)
        self._layers = min(layout.frame_layers, layout.geometry.layers)
        self._plain_bytes = self._layers * layout.layer_bytes
        row_bytes = -(-self._codec.max_stored_bytes // _PAGE_BYTES) * _PAGE_BYTES
        self._rows = allocate(len(frames) * row_bytes).reshape(len(frames), -1)
        self._frames, self._target = frames, target
        self._stored: list[Bytes] = []

    def encode(self) -> float:
        """Return the seconds that encoding all frames takes."""
        start = perf_counter()
        sizes = [
            self._codec.encode(frame, 0, row)
            for frame, row in zip(self._frames, self._rows, strict=True)
        ]
        seconds = perf_counter() - start
        self._stored = [row[:size] for row, size in zip(self._rows, sizes, strict=True)]
        return seconds

    def decode(self) -> float:
        """Return the seconds that decoding all frames takes."""
        start = perf_counter()
        for stored, frame in zip(self._stored, self._target, strict=True):
            self._codec.decode(stored, 0, frame)
        return perf_counter() - start

    @property
    def ratio(self) -> float:
        """Return plain bytes over stored ones."""
        return self._plain_bytes * len(self._stored) / sum(one.nbytes for one in self._stored)
