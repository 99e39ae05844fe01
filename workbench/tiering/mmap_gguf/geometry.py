"""Draw a model's KV geometry from its GGUF header: the true one, not a guessed one.

Follows: llama.cpp's key names (block_count, head_count_kv, key_length).
Leaves out: models whose layers differ in KV heads or whose K and V differ in width.
"""

from __future__ import annotations

from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.mmap_gguf.header import GGUFHeader

_MAX_LAYERS = 1024
_MAX_HEADS = 65_536
_MAX_WIDTH = 1 << 20


def kv_geometry(header: GGUFHeader, dtype: str = "float16") -> KVGeometry:
    """Return what this model stores per token.

    Parameters
    ----------
    header : GGUFHeader
    dtype : str   NumPy dtype name of one stored value

    Raises
    ------
    GGUFError   if a key is missing, mistyped or out of range, or the layers differ
    """
    arch = header.architecture
    layers = header.integer(f"{arch}.block_count", 1, _MAX_LAYERS)
    heads = header.integer(f"{arch}.attention.head_count", 1, _MAX_HEADS)
    kv_heads = _kv_heads(header, f"{arch}.attention.head_count_kv", heads)
    head_dim = _head_dim(header, arch, heads)
    return KVGeometry(layers, kv_heads, head_dim, dtype)


def _kv_heads(header: GGUFHeader, key: str, heads: int) -> int:
    """Return the KV heads of every layer; without the key there is one for each query head."""
    if key not in header.fields:
        return heads
    field = header.field(key, "u32", "array of u32", "array of i32")
    counts = field.value if isinstance(field.value, tuple) else (field.value,)
    distinct = {count for count in counts if isinstance(count, int)}
    if len(distinct) != 1:
        raise header.refuse(f"{key} differs between layers; one KV layout is needed", field.offset)
    kv_heads = distinct.pop()
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        raise header.refuse(f"{key} = {kv_heads} does not divide {heads} heads", field.offset)
    return kv_heads


def _head_dim(header: GGUFHeader, arch: str, heads: int) -> int:
    """Return the stated width of K and V, else the embedding's share of a head."""
    stated = [
        header.integer(f"{arch}.attention.{side}_length", 1, _MAX_WIDTH)
        for side in ("key", "value")
        if f"{arch}.attention.{side}_length" in header.fields
    ]
    if len(set(stated)) > 1:
        field = header.fields[f"{arch}.attention.value_length"]
        raise header.refuse(f"K and V differ in width ({stated}); one is needed", field.offset)
    if stated:
        return stated[0]
    key = f"{arch}.embedding_length"
    width = header.integer(key, 1, _MAX_WIDTH)
    if width % heads:
        raise header.refuse(f"{key} = {width} is no multiple of {heads} heads", header.data_offset)
    return width // heads
