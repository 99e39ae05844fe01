"""Write a GGUF file of a few layers as wide as Llama 3.3 70B's, of random Q4_K weights.

Follows: Meta's published configuration (hidden 8192, feed-forward 28672, 64 heads, 8 KV heads of
128 values); llama.cpp's tensor names; ggml's Q4_K blocks. A share of a layer is what tensor
parallelism gives one of so many machines: whole rows of every matrix, the width of the model kept.
Leaves out: sense. The weights are drawn so that activations neither vanish nor overflow.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from workbench.inference.llama_config import LlamaConfig, Rope
from workbench.inference.tensor_names import EMBEDDING, OUTPUT_NORM, Shape, expected_shapes
from workbench.tiering.async_io.buffers import fill_random

EMBEDDING_WIDTH, FEED_FORWARD, HEADS, KV_HEADS, HEAD_DIM = 8192, 28672, 64, 8, 128
LAYERS = 80
VOCABULARY = 128_256
Q4_K_VALUES, Q4_K_BYTES = 256, 144
# The file's own vocabulary: just so many tokens that there is something to look up.
FEW_TOKENS = 64

_ALIGN = 32
_F32, _Q4_K = 0, 12
_U32, _FLOAT, _TEXT = 4, 6, 8
_CHUNK_BLOCKS = 1 << 16
# Scales and minima whose products cancel on average: weights of about 0.01 around 0.
_SCALE, _MINIMUM = np.float16(6.2e-5), np.float16(4.6e-4)


@dataclass(frozen=True, slots=True)
class LayersShape:
    """How many layers, and which part of each: 1 is a whole layer, 8 an eighth."""

    n_layers: int
    share: int

    @property
    def config(self) -> LlamaConfig:
        """Return what the file's header says."""
        return LlamaConfig(
            architecture="llama",
            layers=self.n_layers,
            embedding=EMBEDDING_WIDTH,
            feed_forward=FEED_FORWARD // self.share,
            heads=HEADS // self.share,
            kv_heads=KV_HEADS // self.share,
            head_dim=HEAD_DIM,
            vocab_size=FEW_TOKENS,
            context_tokens=131_072,
            rms_epsilon=1e-5,
            rope=Rope(500_000.0, HEAD_DIM, 1.0, "", "adjacent"),
            tied_embeddings=True,
            qkv_biases=False,
        )

    @property
    def layer_bytes(self) -> int:
        """Return the bytes of one layer in the file."""
        return sum(
            _n_bytes(name, shape)
            for name, shape in expected_shapes(self.config).items()
            if name.startswith("blk.0.")
        )

    @property
    def file_bytes(self) -> int:
        """Return about the bytes of the file, never less."""
        rest = EMBEDDING_WIDTH * (FEW_TOKENS + 1) * 4
        return self.n_layers * self.layer_bytes + rest + (1 << 20)


def write_layers(path: Path, shape: LayersShape, seed: int = 0) -> None:
    """Write the file and flush it to the disk.

    Parameters
    ----------
    path : Path
    shape : LayersShape   share: a divisor of 8
    seed : int            of the weights

    Cost    about 1 s a GB and the disk's time; a whole layer has 0.48 GB.
    """
    tensors = expected_shapes(shape.config)
    with path.open("wb") as file:
        file.write(_header(shape.config, tensors))
        file.write(bytes(-file.tell() % _ALIGN))
        for number, (name, extents) in enumerate(tensors.items()):
            _write_tensor(file, name, extents, np.random.default_rng([seed, number]))
            file.write(bytes(-file.tell() % _ALIGN))
        file.flush()
        os.fsync(file.fileno())


def _is_packed(name: str) -> bool:
    return name != EMBEDDING and name != OUTPUT_NORM and not name.endswith("norm.weight")


def _n_bytes(name: str, shape: Shape) -> int:
    n_values = int(np.prod(shape))
    return n_values // Q4_K_VALUES * Q4_K_BYTES if _is_packed(name) else 4 * n_values


def _header(config: LlamaConfig, tensors: dict[str, Shape]) -> bytes:
    pairs = b"".join(_pairs(config))
    infos, offset = [], 0
    for name, shape in tensors.items():
        kind = _Q4_K if _is_packed(name) else _F32
        extents = struct.pack(f"<{len(shape)}Q", *shape)
        infos.append(
            _text(name) + struct.pack("<I", len(shape)) + extents + struct.pack("<IQ", kind, offset)
        )
        offset += _n_bytes(name, shape)
        offset += -offset % _ALIGN
    n_pairs = sum(1 for _ in _pairs(config))
    return b"GGUF" + struct.pack("<IQQ", 3, len(infos), n_pairs) + pairs + b"".join(infos)


def _pairs(config: LlamaConfig) -> Iterator[bytes]:
    yield _text("general.architecture") + struct.pack("<I", _TEXT) + _text("llama")
    numbers = {
        "block_count": config.layers,
        "context_length": config.context_tokens,
        "embedding_length": config.embedding,
        "feed_forward_length": config.feed_forward,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
    }
    for key, number in numbers.items():
        yield _text(f"llama.{key}") + struct.pack("<II", _U32, number)
    reals = {
        "attention.layer_norm_rms_epsilon": config.rms_epsilon,
        "rope.freq_base": config.rope.base,
    }
    for key, real in reals.items():
        yield _text(f"llama.{key}") + struct.pack("<If", _FLOAT, real)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _write_tensor(file: BinaryIO, name: str, shape: Shape, rng: np.random.Generator) -> None:
    n_values = int(np.prod(shape))
    if not _is_packed(name):
        is_norm = name != EMBEDDING
        values = np.ones(n_values) if is_norm else rng.standard_normal(n_values)
        file.write(values.astype("<f4").tobytes())
        return
    n_blocks = n_values // Q4_K_VALUES
    for start in range(0, n_blocks, _CHUNK_BLOCKS):
        file.write(_blocks(min(_CHUNK_BLOCKS, n_blocks - start), rng).data)


def _blocks(n_blocks: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return random Q4_K blocks: a scale and a minimum in float16, then what is random."""
    blocks = np.empty((n_blocks, Q4_K_BYTES), np.uint8)
    fill_random(blocks.reshape(-1).data, rng)
    blocks.view("<f2")[:, :2] = (_SCALE, _MINIMUM)
    return blocks
