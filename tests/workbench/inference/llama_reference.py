"""A forward pass of Llama-like models in NumPy and float64, straight from a file's tensors.

Follows: the formulas; weights restored by the gguf package, not by the code under test.
Leaves out: speed, caches and batches.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize


class Reference:
    """A model's weights in float64, by name, and its numbers."""

    def __init__(self, path: Path, *, heads, kv_heads, head_dim, epsilon=1e-5, base=10_000.0):
        tensors = GGUFReader(path).tensors
        self.weights = {
            tensor.name: dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
            for tensor in tensors
        }
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.epsilon, self.base = epsilon, base
        self.layers = sum(name.endswith("attn_q.weight") for name in self.weights)
        self.halves = any(name.endswith("attn_q.bias") for name in self.weights)

    def logits(self, token_ids) -> np.ndarray:
        """Return the logits of all positions, float64[n_tokens, vocab_size]."""
        weights = self.weights
        x = weights["token_embd.weight"][np.asarray(token_ids)]
        for layer in range(self.layers):
            part = {
                name.split(".", 2)[2]: values
                for name, values in weights.items()
                if name.startswith(f"blk.{layer}.")
            }
            x = x + self._attention(self._normed(x, part["attn_norm.weight"]), part)
            normed = self._normed(x, part["ffn_norm.weight"])
            gate, up = normed @ part["ffn_gate.weight"].T, normed @ part["ffn_up.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ part["ffn_down.weight"].T
        output = weights.get("output.weight", weights["token_embd.weight"])
        return self._normed(x, weights["output_norm.weight"]) @ output.T

    def _normed(self, x, weights):
        return x / np.sqrt((x * x).mean(axis=1, keepdims=True) + self.epsilon) * weights

    def _attention(self, x, part):
        def projected(name, n_heads):
            values = x @ part[f"{name}.weight"].T + part.get(f"{name}.bias", 0)
            return values.reshape(len(x), n_heads, self.head_dim)

        q = self._turned(projected("attn_q", self.heads))
        k = self._turned(projected("attn_k", self.kv_heads))
        v = projected("attn_v", self.kv_heads)
        group = self.heads // self.kv_heads
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(self.head_dim)
        scores += np.triu(np.full((len(x), len(x)), -np.inf), 1)
        odds = np.exp(scores - scores.max(axis=2, keepdims=True))
        odds /= odds.sum(axis=2, keepdims=True)
        gathered = np.einsum("hqk,khd->qhd", odds, v).reshape(len(x), -1)
        return gathered @ part["attn_output.weight"].T

    def _turned(self, heads):
        pairs = np.arange(0, self.head_dim, 2)
        factors = self.weights.get("rope_freqs.weight", 1.0)
        angles = np.arange(len(heads))[:, None] * self.base ** (-pairs / self.head_dim) / factors
        turn = np.exp(1j * angles)[:, None]
        half = self.head_dim // 2
        a, b = (
            (heads[..., :half], heads[..., half:])
            if self.halves
            else (heads[..., ::2], heads[..., 1::2])
        )
        turned = (a + 1j * b) * turn
        if self.halves:
            return np.concatenate((turned.real, turned.imag), axis=-1)
        return np.stack((turned.real, turned.imag), axis=-1).reshape(heads.shape)
