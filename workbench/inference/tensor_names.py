"""Name a Llama-like model's tensors and the shapes they must have.

Follows: llama.cpp's tensor names; shapes as GGUF states them, the contiguous row first.
Leaves out: whether a file holds them (architecture.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.inference.llama_config import LlamaConfig

EMBEDDING = "token_embd.weight"
OUTPUT_NORM = "output_norm.weight"
OUTPUT = "output.weight"
ROPE_FACTORS = "rope_freqs.weight"

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LayerNames:
    """The tensors of one layer in the order of their use."""

    attention_norm: str
    query: str
    key: str
    value: str
    attention_output: str
    feed_forward_norm: str
    gate: str
    up: str
    down: str
    query_bias: str
    key_bias: str
    value_bias: str


def layer_names(layer: int) -> LayerNames:
    """Return the names of a layer's tensors; those of biases too if the model has none."""
    attention = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output")
    feed_forward = ("ffn_norm", "ffn_gate", "ffn_up", "ffn_down")
    weights = (f"blk.{layer}.{part}.weight" for part in (*attention, *feed_forward))
    biases = (f"blk.{layer}.{part}.bias" for part in ("attn_q", "attn_k", "attn_v"))
    return LayerNames(*weights, *biases)


def output_name(config: LlamaConfig) -> str:
    """Return the matrix of [embedding, vocab_size] that gives the logits."""
    return EMBEDDING if config.tied_embeddings else OUTPUT


def expected_shapes(config: LlamaConfig) -> dict[str, Shape]:
    """Return the shape of every tensor that the model must have, by name."""
    shapes: dict[str, Shape] = {
        EMBEDDING: (config.embedding, config.vocab_size),
        OUTPUT_NORM: (config.embedding,),
        output_name(config): (config.embedding, config.vocab_size),
    }
    if config.rope.factors_name:
        shapes[config.rope.factors_name] = (config.rope.dimensions // 2,)
    for layer in range(config.layers):
        shapes |= _layer_shapes(config, layer_names(layer))
    return shapes


def _layer_shapes(config: LlamaConfig, names: LayerNames) -> dict[str, Shape]:
    embedding, feed_forward = config.embedding, config.feed_forward
    query, kv = config.query_width, config.kv_width
    shapes: dict[str, Shape] = {
        names.attention_norm: (embedding,),
        names.query: (embedding, query),
        names.key: (embedding, kv),
        names.value: (embedding, kv),
        names.attention_output: (query, embedding),
        names.feed_forward_norm: (embedding,),
        names.gate: (embedding, feed_forward),
        names.up: (embedding, feed_forward),
        names.down: (feed_forward, embedding),
    }
    if config.qkv_biases:
        shapes |= {
            names.query_bias: (query,),
            names.key_bias: (kv,),
            names.value_bias: (kv,),
        }
    return shapes
