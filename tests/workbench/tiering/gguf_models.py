"""Write whole small models for tests: every key and tensor that a forward pass needs.

Follows: the tensor names and shapes of llama.cpp, written down apart from the code under test.
Leaves out: sensible weights (they are seeded noise) and tokenizers (a list of tokens only).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.workbench.tiering.gguf_files import GGUFFile, array, scalar, tensor
from workbench.tiering.mmap_gguf.ggml_types import GGML_TYPES

KINDS = {kind.name: number for number, kind in GGML_TYPES.items()}
Shape = tuple[int, ...]


@dataclass
class Model:
    """A model to be; ``pairs`` and ``tensors`` hold changes: an empty pair, a None takes away."""

    architecture: str = "llama"
    layers: int = 2
    embedding: int = 64
    feed_forward: int = 96
    heads: int = 4
    kv_heads: int = 2
    vocab: int = 40
    kind: str = "Q4_1"
    tied: bool = True
    biases: bool = False
    pairs: dict[str, bytes] = field(default_factory=dict)
    tensors: dict[str, tuple[Shape, str] | None] = field(default_factory=dict)
    seed: int = 0

    def all_pairs(self) -> dict[str, bytes]:
        arch = self.architecture
        numbers = {
            "block_count": self.layers,
            "context_length": 512,
            "embedding_length": self.embedding,
            "feed_forward_length": self.feed_forward,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self.kv_heads,
        }
        tokens = [f"token{i}" for i in range(self.vocab)]
        return {
            "general.architecture": scalar("general.architecture", "", arch),
            **{f"{arch}.{key}": scalar(f"{arch}.{key}", "u32", n) for key, n in numbers.items()},
            f"{arch}.attention.layer_norm_rms_epsilon": scalar(
                f"{arch}.attention.layer_norm_rms_epsilon", "f32", 1e-5
            ),
            "tokenizer.ggml.tokens": array("tokenizer.ggml.tokens", "string", tokens),
            **self.pairs,
        }

    def all_tensors(self) -> dict[str, tuple[Shape, str]]:
        width, inner = self.embedding, self.feed_forward
        kv = width // self.heads * self.kv_heads
        found: dict[str, tuple[Shape, str] | None] = {
            "token_embd.weight": ((width, self.vocab), self.kind),
            "output_norm.weight": ((width,), "F32"),
        }
        if not self.tied:
            found["output.weight"] = ((width, self.vocab), self.kind)
        for layer in range(self.layers):
            matrices = {
                "attn_q": (width, width),
                "attn_k": (width, kv),
                "attn_v": (width, kv),
                "attn_output": (width, width),
                "ffn_gate": (width, inner),
                "ffn_up": (width, inner),
                "ffn_down": (inner, width),
            }
            for name, shape in matrices.items():
                found[f"blk.{layer}.{name}.weight"] = (shape, self.kind)
            for name in ("attn_norm", "ffn_norm"):
                found[f"blk.{layer}.{name}.weight"] = ((width,), "F32")
            if self.biases:
                for name, extent in (("attn_q", width), ("attn_k", kv), ("attn_v", kv)):
                    found[f"blk.{layer}.{name}.bias"] = ((extent,), "F32")
        found |= self.tensors
        return {name: what for name, what in found.items() if what is not None}

    @staticmethod
    def n_bytes(shape: Shape, kind: str) -> int:
        """Return the bytes of a tensor's data."""
        block = GGML_TYPES[KINDS[kind]]
        return int(np.prod(shape)) // block.block_values * block.block_bytes

    def file(self) -> GGUFFile:
        rng = np.random.default_rng(self.seed)
        pairs = [pair for pair in self.all_pairs().values() if pair]
        return _file(pairs, self.all_tensors(), rng)

    def parts(self, count: int) -> list[GGUFFile]:
        """Return the files of this model split by tensors; all metadata is in the first."""
        rng = np.random.default_rng(self.seed)
        tensors = list(self.all_tensors().items())
        size = -(-len(tensors) // count)
        files = []
        for number in range(count):
            pairs = [pair for pair in self.all_pairs().values() if pair] if number == 0 else []
            pairs += split_pairs(number, count, len(tensors))
            files.append(_file(pairs, dict(tensors[number * size : (number + 1) * size]), rng))
        return files


def split_pairs(number: int, count: int, total: int) -> list[bytes]:
    return [
        scalar("split.no", "u16", number),
        scalar("split.count", "u16", count),
        scalar("split.tensors.count", "i32", total),
    ]


def write_parts(folder: Path, files: list[GGUFFile], name: str = "m") -> Path:
    """Write the files of a split model and return the first one's path."""
    paths = [folder / f"{name}-{i:05d}-of-{len(files):05d}.gguf" for i in range(1, len(files) + 1)]
    for path, file in zip(paths, files, strict=True):
        file.write(path)
    return paths[0]


def _file(
    pairs: list[bytes], tensors: dict[str, tuple[Shape, str]], rng: np.random.Generator
) -> GGUFFile:
    records, data = [], bytearray()
    for name, (shape, kind) in tensors.items():
        data += bytes(-len(data) % 32)
        records.append(tensor(name, shape, KINDS[kind], len(data)))
        data += weights(rng, shape, kind).tobytes()
    return GGUFFile(pairs, records, data=bytes(data))


def weights(rng: np.random.Generator, shape: Shape, kind: str) -> np.ndarray:
    """Return a tensor's bytes: seeded, finite, all below 1 in their scales."""
    if kind == "F32":
        return rng.standard_normal(int(np.prod(shape)), np.float32).view(np.uint8)
    # Without the bits 0x44 of any byte no float16 or bfloat16 among them has a large exponent.
    return rng.integers(0, 256, Model.n_bytes(shape, kind), np.uint8) & np.uint8(0xBB)
