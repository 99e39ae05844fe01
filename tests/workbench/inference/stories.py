"""Convert stories260K from llama2.c's format to a GGUF file with F32 tensors.

Follows: llama2.c's layout (seven int32, then the weights tensor by tensor over all layers) and its
tokenizer file (score, length, bytes). Its rope pairs neighbouring values, as GGUF's llama does, so
that no row moves. Leaves out: models with a classifier of their own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.workbench.tiering.gguf_files import GGUFFile, array, scalar, tensor
from workbench import datasets

_F32 = 0
_ALIGNMENT = 32
UNKNOWN, CONTROL, BYTE, NORMAL = 2, 3, 6, 1


@dataclass(frozen=True)
class Shape:
    """The seven numbers at the head of the file."""

    dim: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int

    @property
    def kv_dim(self) -> int:
        return self.dim // self.heads * self.kv_heads


def write_stories(folder: Path) -> Path:
    """Write stories260K.gguf into a folder; fetches the data set if need be."""
    by_name = {path.name: path.read_bytes() for path in datasets.get("stories260k")}
    return convert(by_name["stories260K.bin"], by_name["tok512.bin"], folder / "stories260K.gguf")


def convert(model: bytes, tokenizer: bytes, path: Path) -> Path:
    """Write a GGUF file of a llama2.c model."""
    shape = Shape(*struct.unpack_from("<7i", model))
    tensors = read_tensors(shape, np.frombuffer(model, "<f4", offset=28))
    records, data = [], b""
    for name, values in tensors.items():
        records.append(tensor(name, values.shape[::-1], _F32, len(data)))
        data += values.tobytes()
        data += bytes(-len(data) % _ALIGNMENT)
    head = GGUFFile(pairs=[*model_pairs(shape), *tokenizer_pairs(tokenizer)], tensors=records)
    path.write_bytes(head.to_bytes() + data)
    return path


def read_tensors(
    shape: Shape, weights: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the tensors by GGUF's names, rows first."""
    dim, hidden, kv_dim = shape.dim, shape.hidden, shape.kv_dim
    stacks = {
        "attn_norm": (dim,),
        "attn_q": (dim, dim),
        "attn_k": (kv_dim, dim),
        "attn_v": (kv_dim, dim),
        "attn_output": (dim, dim),
        "ffn_norm": (dim,),
        "ffn_gate": (hidden, dim),
        "ffn_down": (dim, hidden),
        "ffn_up": (hidden, dim),
    }
    at = shape.vocabulary * dim
    tensors = {"token_embd.weight": weights[:at].reshape(shape.vocabulary, dim)}
    for name, extents in stacks.items():
        size = int(np.prod(extents))
        for layer in range(shape.layers):
            tensors[f"blk.{layer}.{name}.weight"] = weights[at : at + size].reshape(extents)
            at += size
    tensors["output_norm.weight"] = weights[at : at + dim]
    # What follows are the cosines and sines of rope, which every reader works out itself.
    assert len(weights) - at - dim == shape.context * shape.dim // shape.heads
    return tensors


def model_pairs(shape: Shape) -> list[bytes]:
    numbers = {
        "vocab_size": shape.vocabulary,
        "context_length": shape.context,
        "embedding_length": shape.dim,
        "feed_forward_length": shape.hidden,
        "block_count": shape.layers,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "rope.dimension_count": shape.dim // shape.heads,
    }
    return [
        scalar("general.architecture", "", "llama"),
        scalar("general.name", "", "stories260K"),
        *(scalar(f"llama.{key}", "u32", value) for key, value in numbers.items()),
        scalar("llama.rope.freq_base", "f32", 10_000.0),
        scalar("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5),
    ]


def tokenizer_pairs(raw: bytes) -> list[bytes]:
    tokens, scores = read_tokens(raw)
    return [
        scalar("tokenizer.ggml.model", "", "llama"),
        array("tokenizer.ggml.tokens", "string", tokens),
        array("tokenizer.ggml.scores", "f32", scores),
        array("tokenizer.ggml.token_type", "i32", [kind(*pair) for pair in enumerate(tokens)]),
        scalar("tokenizer.ggml.unknown_token_id", "u32", 0),
        scalar("tokenizer.ggml.bos_token_id", "u32", 1),
        scalar("tokenizer.ggml.eos_token_id", "u32", 2),
        scalar("tokenizer.ggml.add_bos_token", "bool", True),
        scalar("tokenizer.ggml.add_eos_token", "bool", False),
    ]


def read_tokens(raw: bytes) -> tuple[list[str], list[float]]:
    """Return the tokens as SentencePiece writes them, and their scores."""
    tokens, scores = [], []
    at = 4
    while at < len(raw):
        score, n_bytes = struct.unpack_from("<fi", raw, at)
        at += 8 + n_bytes
        # llama2.c stores blanks as blanks, and BOS and EOS with line ends around them.
        text = raw[at - n_bytes : at].decode().replace(" ", "▁")
        tokens.append(text.strip("\n") if len(tokens) in (1, 2) else text)
        scores.append(score)
    return tokens, scores


def kind(token_id: int, token: str) -> int:
    if token_id < 3:
        return UNKNOWN if token_id == 0 else CONTROL
    return BYTE if token.startswith("<0x") else NORMAL
