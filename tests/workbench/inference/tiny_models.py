"""Tiny models of seeded weights for the forward pass, one of each kind that differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import quantize

from tests.workbench.inference.llama_reference import Reference
from tests.workbench.tiering.gguf_models import Model
from workbench.inference.llama import LlamaModel
from workbench.tiering.tiered_kv_cache import CacheConfig, TieredKVCache

HEADS, KV_HEADS, EMBEDDING = 8, 2, 256
HEAD_DIM = EMBEDDING // HEADS

ARCHITECTURES = {
    "llama": {},
    "llama3": {"tensors": {"rope_freqs.weight": ((HEAD_DIM // 2,), "F32")}},
    "qwen2": {"architecture": "qwen2", "biases": True, "tied": False},
}


def write_model(
    folder: Path,
    architecture: str = "llama",
    kind: str = "F32",
    *,
    quantized: bool = False,
    **changes,
) -> Path:
    """Write a model of two layers.

    Plain weights are as small as trained ones are. Packed ones are random bytes, whose logits are
    wild, unless ``quantized``: then they are the plain ones, packed by the gguf package.
    """
    sizes = {
        "heads": HEADS,
        "kv_heads": KV_HEADS,
        "embedding": EMBEDDING,
        "feed_forward": 256,
    }
    model = Model(kind=kind, **(sizes | ARCHITECTURES[architecture] | changes))
    file = model.file()
    file.data = _softened(model) if quantized else _soften(file.data, model)
    path = folder / f"{architecture}-{kind}.gguf"
    file.write(path)
    return path


def _softened(model: Model) -> bytes:
    """Return the data of the model with plain weights, packed."""
    plain = replace(model, kind="F32")
    floats = _soften(plain.file().data, plain)
    data, at = bytearray(), 0
    kinds = model.all_tensors()
    for name, (shape, _) in plain.all_tensors().items():
        at += -at % 32
        values = np.frombuffer(floats, np.float32, int(np.prod(shape)), at)
        at += values.nbytes
        data += bytes(-len(data) % 32)
        kind = GGMLQuantizationType[kinds[name][1]]
        data += quantize(values.reshape(shape[::-1]), kind).tobytes()
    return bytes(data)


def _soften(raw: bytes, model: Model) -> bytes:
    """Make factors positive, and plain weights as small as trained ones are."""
    data, at = bytearray(raw), 0
    for name, (shape, kind) in model.all_tensors().items():
        at += -at % 32
        n_bytes = model.n_bytes(shape, kind)
        if kind == "F32":
            values = np.frombuffer(bytes(data[at : at + n_bytes]), np.float32)
            if name == "rope_freqs.weight":
                values = 1 + np.abs(values) * 4
            elif len(shape) > 1:
                values = values / np.float32(np.sqrt(shape[0]))
            data[at : at + n_bytes] = values.tobytes()
        at += n_bytes
    return bytes(data)


def reference(path: Path) -> Reference:
    return Reference(path, heads=HEADS, kv_heads=KV_HEADS, head_dim=HEAD_DIM)


def cache_for(model: LlamaModel, dtype: str = "float32", **changes) -> TieredKVCache:
    """Return a cache in memory only, of blocks of 16 tokens."""
    settings = {"hot_bytes": 8 << 20, "block_tokens": 16} | changes
    cache = TieredKVCache(CacheConfig(model.kv_geometry(dtype), **settings))
    model.use_cache(cache.layout)
    return cache


def ids(n_tokens: int, seed: int = 0, vocab: int = 40) -> list[int]:
    return np.random.default_rng(seed).integers(0, vocab, n_tokens).tolist()


__all__ = ["ARCHITECTURES", "cache_for", "ids", "reference", "write_model"]
