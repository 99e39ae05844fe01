"""Say what a Llama-like model is: its widths, heads, rope and vocabulary.

Follows: the hyperparameters of Llama and Qwen2 as llama.cpp names them.
Leaves out: reading them from a file (architecture.py), and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Rope:
    """How positions turn queries and keys.

    The angle of pair i at position p is ``p / factor / factors[i] * base ** (-2 i / dimensions)``.

    Attributes
    ----------
    base : float           above 1
    dimensions : int       values of a head that are turned, even; those behind pass unchanged
    factor : float         linear scaling of positions; 1.0 without
    factors_name : str     tensor of float32[dimensions / 2] dividing each pair's frequency, or ""
    pairing : str          "adjacent": values 2i and 2i + 1 turn together; "halves": values i and
                           i + dimensions / 2
    """

    base: float
    dimensions: int
    factor: float
    factors_name: str
    pairing: Literal["adjacent", "halves"]


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """The shape of a model: embedding, ``layers`` times attention and SwiGLU, norm, output.

    Attributes
    ----------
    architecture : str       "llama" or "qwen2"
    layers : int
    embedding : int          values of a token between layers
    feed_forward : int       values inside the feed-forward part
    heads, kv_heads : int    query heads, key-value heads; heads is a multiple of kv_heads
    head_dim : int           values a head; heads * head_dim need not be embedding
    vocab_size : int         rows of the embedding and of the output
    context_tokens : int     the longest text the model was made for
    rms_epsilon : float      added under the root of every RMS norm
    rope : Rope
    tied_embeddings : bool   the output is the embedding's matrix
    qkv_biases : bool        queries, keys and values have biases
    """

    architecture: str
    layers: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    context_tokens: int
    rms_epsilon: float
    rope: Rope
    tied_embeddings: bool
    qkv_biases: bool

    @property
    def query_width(self) -> int:
        """Return the values of a token's queries over all heads."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Return the values of a token's keys (or values) in one layer."""
        return self.kv_heads * self.head_dim
