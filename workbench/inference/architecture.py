"""Read from a GGUF header what a Llama-like forward pass computes, or refuse what it would not.

Follows: llama.cpp's key names, defaults and tensor shapes of "llama" and "qwen2" (read 2026-11).
Leaves out: mixtures of experts, sliding windows, YaRN and LongRoPE; a file with one is refused, as
is a tensor that the computation would ignore.
"""

from __future__ import annotations

from workbench.inference.llama_config import LlamaConfig, Rope
from workbench.inference.tensor_names import EMBEDDING, OUTPUT, ROPE_FACTORS, expected_shapes
from workbench.tiering.mmap_gguf import GGUFHeader, Skipped, TensorInfo, kv_geometry
from workbench.tiering.mmap_gguf.ggml_types import DEQUANTISED

__all__ = ["SUPPORTED", "LlamaConfig", "Rope", "llama_config"]

SUPPORTED = ("llama", "qwen2")

_MAX_WIDTH = 1 << 20
_MAX_TOKENS = 4_000_000
_MAX_CONTEXT_TOKENS = 1 << 28
_MAX_ROPE_BASE = 1e12
_MAX_ROPE_FACTOR = 1e6

# Keys that would change the result if they held anything but these values.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "expert_count": (0,),
    "attention.causal": (True,),
    "attention.sliding_window": (0,),
    "attention.clamp_kqv": (0.0,),
    "attention.scale": (0.0,),
    "attention.key_length_mla": (0,),
    "attention.value_length_mla": (0,),
    "embedding_scale": (0.0, 1.0),
    "logit_scale": (0.0, 1.0),
    "residual_scale": (0.0, 1.0),
    "rope.scaling.attn_factor": (0.0, 1.0),
    "use_parallel_residual": (False,),
}


def llama_config(header: GGUFHeader) -> LlamaConfig:
    """Read the model's shape and hold every tensor against it.

    Parameters
    ----------
    header : GGUFHeader   as `read_header` returns it

    Raises
    ------
    GGUFError   for another architecture, a key that is missing, mistyped, out of range or not
                computed here, and a tensor that is missing, misshapen, of a type that is not
                dequantised, or that nothing uses

    Cost    O(tensors); reads nothing.
    """
    arch = header.architecture
    if arch not in SUPPORTED:
        shown = "".join(letter if letter.isprintable() else "?" for letter in arch[:80])
        raise header.refuse(
            f"unsupported architecture {shown}; supported: {', '.join(SUPPORTED)}",
            header.fields["general.architecture"].offset,
        )
    _refuse_what_is_not_computed(header, arch)
    tensors = {tensor.name: tensor for tensor in header.tensors}
    config = _config(header, arch, tensors)
    _check_tensors(header, config, tensors)
    return config


def _config(header: GGUFHeader, arch: str, tensors: dict[str, TensorInfo]) -> LlamaConfig:
    geometry = kv_geometry(header)
    return LlamaConfig(
        architecture=arch,
        layers=geometry.layers,
        embedding=header.integer(f"{arch}.embedding_length", 1, _MAX_WIDTH),
        feed_forward=header.integer(f"{arch}.feed_forward_length", 1, _MAX_WIDTH),
        heads=header.integer(f"{arch}.attention.head_count", 1, _MAX_WIDTH),
        kv_heads=geometry.kv_heads,
        head_dim=geometry.head_dim,
        vocab_size=_vocab_size(header, arch, tensors),
        context_tokens=header.integer(f"{arch}.context_length", 1, _MAX_CONTEXT_TOKENS),
        rms_epsilon=header.real(f"{arch}.attention.layer_norm_rms_epsilon", 1e-12, 1.0),
        rope=_rope(header, arch, geometry.head_dim, tensors),
        tied_embeddings=OUTPUT not in tensors,
        # Llama files made from other models' weights may have them; qwen2 always has.
        qkv_biases=arch == "qwen2" or "blk.0.attn_q.bias" in tensors,
    )


def _refuse_what_is_not_computed(header: GGUFHeader, arch: str) -> None:
    for name, neutral in _NEUTRAL.items():
        field = header.fields.get(f"{arch}.{name}")
        if field is not None and field.value not in neutral:
            raise header.refuse(
                f"{arch}.{name} = {str(field.value)[:80]} asks for what is not computed here; "
                "use another model",
                field.offset,
            )


def _vocab_size(header: GGUFHeader, arch: str, tensors: dict[str, TensorInfo]) -> int:
    """Return the embedding's rows, which the stated size and the token list must equal."""
    embedding = tensors.get(EMBEDDING)
    if embedding is None or len(embedding.shape) != 2:
        raise header.refuse(f"there is no matrix {EMBEDDING}", header.data_offset)
    rows = embedding.shape[1]
    if rows > _MAX_TOKENS:
        raise header.refuse(
            f"{EMBEDDING} has {rows} tokens, {_MAX_TOKENS} are allowed", embedding.offset
        )
    if f"{arch}.vocab_size" in header.fields:
        header.integer(f"{arch}.vocab_size", rows, rows)
    if "tokenizer.ggml.tokens" in header.fields:
        field = header.field("tokenizer.ggml.tokens", "array of string")
        assert isinstance(field.value, (tuple, Skipped))
        count = field.value.count if isinstance(field.value, Skipped) else len(field.value)
        if count != rows:
            raise header.refuse(
                f"tokenizer.ggml.tokens has {count} tokens, {EMBEDDING} {rows}", field.offset
            )
    return rows


def _rope(header: GGUFHeader, arch: str, head_dim: int, tensors: dict[str, TensorInfo]) -> Rope:
    dimensions, key = head_dim, f"{arch}.rope.dimension_count"
    if key in header.fields:
        dimensions = header.integer(key, 2, head_dim)
    if dimensions % 2:
        place = header.fields[key].offset if key in header.fields else header.data_offset
        raise header.refuse(f"rope turns pairs, {dimensions} values are odd", place)
    base, key = 10_000.0, f"{arch}.rope.freq_base"
    if key in header.fields:
        base = header.real(key, 1.0, _MAX_ROPE_BASE)
    return Rope(
        base=base,
        dimensions=dimensions,
        factor=_rope_factor(header, arch),
        factors_name=ROPE_FACTORS if ROPE_FACTORS in tensors else "",
        # Converters reorder the rows of Llama's Q and K so that pairs stand together; not qwen2's.
        pairing="adjacent" if arch == "llama" else "halves",
    )


def _rope_factor(header: GGUFHeader, arch: str) -> float:
    """Return the linear factor: of the scaling keys, else of the key that older files have."""
    key = f"{arch}.rope.scaling.type"
    kind = header.string(key) if key in header.fields else "linear"
    if kind not in ("none", "linear"):
        raise header.refuse(
            f"{key} = {kind[:80]!r} is not computed here; 'none', 'linear' and the factors of a "
            "tensor rope_freqs.weight are",
            header.fields[key].offset,
        )
    if kind == "none":
        return 1.0
    for key in (f"{arch}.rope.scaling.factor", f"{arch}.rope.scale_linear"):
        if key in header.fields:
            # Zero stands for "not scaled".
            factor = header.real(key, 0.0, _MAX_ROPE_FACTOR)
            return factor or 1.0
    return 1.0


def _check_tensors(header: GGUFHeader, config: LlamaConfig, tensors: dict[str, TensorInfo]) -> None:
    expected = expected_shapes(config)
    for name, shape in expected.items():
        tensor = tensors.get(name)
        if tensor is None:
            raise header.refuse(f"tensor {name} is missing", header.data_offset)
        if tensor.shape != shape:
            raise header.refuse(
                f"tensor {name} has the shape {tensor.shape}, expected {shape}", tensor.offset
            )
        allowed = DEQUANTISED if len(shape) > 1 else frozenset(("F32",))
        if tensor.ggml_type.name not in allowed:
            raise header.refuse(
                f"tensor {name} is {tensor.ggml_type.name}; "
                f"{', '.join(sorted(allowed))} can be computed here",
                tensor.offset,
            )
    for name, tensor in tensors.items():
        if name not in expected:
            raise header.refuse(
                f"tensor {name[:80]!r} has no part in {config.architecture} as computed here",
                tensor.offset,
            )
