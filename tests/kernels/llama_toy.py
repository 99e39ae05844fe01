"""A toy model for the tests of compiled steps: plain weights, one plan, and NumPy's own layer."""

import numpy as np

from kernels import matrix, team
from kernels.attention import ATTEND, scratch_floats
from kernels.kv_tile import FLOAT32
from kernels.llama_plan import blank_layers, blank_plan

EMBEDDING, INNER, HEADS, KV_HEADS, DIM, VOCAB, LAYERS = 40, 24, 4, 2, 8, 30, 2
WIDTHS = {
    "query": (HEADS * DIM, EMBEDDING),
    "key": (KV_HEADS * DIM, EMBEDDING),
    "value": (KV_HEADS * DIM, EMBEDDING),
    "attention_output": (EMBEDDING, HEADS * DIM),
    "gate": (INNER, EMBEDDING),
    "up": (INNER, EMBEDDING),
    "down": (EMBEDDING, INNER),
}
BIASES = {"query_bias": HEADS * DIM, "key_bias": KV_HEADS * DIM, "value_bias": KV_HEADS * DIM}
STRIDE = 64  # EMBEDDING, padded


class Toy:
    """Weights float32, their places in a plan for ``n_tokens`` tokens, and a cache of one block."""

    def __init__(self, n_tokens, n_threads=1, seed=0):
        rng = np.random.default_rng(seed)
        self.n_tokens = n_tokens
        self.layers = [self._layer(rng) for _ in range(LAYERS)]
        self.output = rng.standard_normal((VOCAB, EMBEDDING)).astype(np.float32)
        self.output_norm = self._vector(rng, EMBEDDING)
        self.kept = []
        self.records = blank_layers(LAYERS)
        for record, layer in zip(self.records, self.layers, strict=True):
            for name, weights in layer.items():
                place = self._matrix(weights) if weights.ndim == 2 else self._address(weights)
                record[name] = place
        self.plan = blank_plan()
        self._fill(n_tokens, n_threads)
        self.cache = np.zeros((LAYERS, 1, 2 * 64 * KV_HEADS * DIM), np.float32)

    def _layer(self, rng):
        layer = {
            name: (rng.standard_normal(shape) / 4).astype(np.float32)
            for name, shape in WIDTHS.items()
        }
        layer |= {name: self._vector(rng, width) for name, width in BIASES.items()}
        norms = ("attention_norm", "feed_forward_norm")
        return layer | {name: self._vector(rng, EMBEDDING) for name in norms}

    @staticmethod
    def _vector(rng, width):
        vector = np.zeros(-(-width // 32) * 32, np.float32)
        vector[:width] = rng.standard_normal(width)
        return vector

    def _address(self, array):
        self.kept.append(array)
        return array.ctypes.data

    def _matrix(self, weights):
        rows = np.zeros((-(-len(weights) // 8) * 8, weights.shape[1]), np.float32)
        rows[: len(weights)] = weights
        packed = np.ascontiguousarray(rows.reshape(-1, 8, weights.shape[1]).transpose(0, 2, 1))
        return matrix.FLOAT32, self._address(packed), len(packed), weights.shape[1]

    def _fill(self, n_tokens, n_threads):
        plan = self.plan[0]
        self.buffers = {
            name: np.zeros((n_tokens, width), np.float32)
            for name, width in {
                "hidden": STRIDE,
                "normed": STRIDE,
                "delta": STRIDE,
                "queries": HEADS * DIM,
                "gathered": HEADS * DIM,
                "keys": KV_HEADS * DIM,
                "values": KV_HEADS * DIM,
                "peaks": HEADS,
                "weights": HEADS,
                "gate": 32,
                "up": 32,
                "logits": 32,
                "scales": 2,
                "sums": 2,
                "quantized": 16,  # 64 bytes
                "cosines": DIM // 2,
                "sines": DIM // 2,
            }.items()
        }
        angles = np.arange(n_tokens)[:, None] * 10.0 ** -np.arange(DIM // 2)
        self.buffers["cosines"][:], self.buffers["sines"][:] = np.cos(angles), np.sin(angles)
        for name, buffer in self.buffers.items():
            plan[name] = buffer.ctypes.data
        stride = -(-scratch_floats(DIM) // 16) * 16
        plan.scratch = self._address(np.zeros((n_threads, stride), np.float32))
        plan.scratch_stride = 4 * stride
        self.counters = team.lines(n_threads)
        plan.product, plan.attend = matrix.PRODUCT.address, ATTEND.address
        plan.n_threads, plan.counters = n_threads, team.first_line(self.counters)
        plan.embedding, plan.epsilon, plan.hidden_stride, plan.gate_stride = (
            EMBEDDING,
            1e-5,
            STRIDE,
            32,
        )
        plan.query_heads, plan.kv_heads, plan.head_dim, plan.n_pairs = (
            HEADS,
            KV_HEADS,
            DIM,
            DIM // 2,
        )
        plan.output_norm, plan.output = self._address(self.output_norm), self._matrix(self.output)
        plan.logits_stride, plan.n_tokens = 32, n_tokens
        plan.first_row, plan.n_rows = 0, n_tokens
        plan.run_block_tokens = 64
        plan.run_v = 4 * 64 * KV_HEADS * DIM
        self.slots = np.zeros(1, np.int64)

    def keep(self, layer):
        """Put the projected keys and values into the cache; return what `set_run` takes."""
        sides = self.cache[layer, 0].reshape(2, 64, KV_HEADS * DIM)
        sides[0, : self.n_tokens] = self.buffers["keys"]
        sides[1, : self.n_tokens] = self.buffers["values"]
        memory = self.cache[layer].view(np.uint8)
        places = 0, 4 * 64 * KV_HEADS * DIM, 0, 0
        return memory, self.slots, places, FLOAT32, (0, self.n_tokens)

    def expected(self, hidden):
        """Return the hidden values behind all layers, and the logits, in float64."""
        x = hidden.astype(np.float64)
        for layer in self.layers:
            normed = self._normed(x, layer["attention_norm"])
            q, k, v = (
                (normed @ layer[name].T + layer[f"{name}_bias"][: len(layer[name])]).reshape(
                    len(x), -1, DIM
                )
                for name in ("query", "key", "value")
            )
            q, k = self._turned(q), self._turned(k)
            x = x + self._attended(q, k, v) @ layer["attention_output"].T
            normed = self._normed(x, layer["feed_forward_norm"])
            gate = normed @ layer["gate"].T
            x = x + (gate / (1 + np.exp(-gate)) * (normed @ layer["up"].T)) @ layer["down"].T
        return x, self._normed(x, self.output_norm) @ self.output.T

    @staticmethod
    def _normed(x, weights):
        return x / np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-5) * weights[:EMBEDDING]

    def _turned(self, heads):
        a, b = heads[..., ::2], heads[..., 1::2]
        cosine, sine = self.buffers["cosines"][:, None], self.buffers["sines"][:, None]
        turned = np.empty_like(heads)
        turned[..., ::2], turned[..., 1::2] = a * cosine - b * sine, a * sine + b * cosine
        return turned

    @staticmethod
    def _attended(q, k, v):
        out = np.empty_like(q)
        for token in range(len(q)):
            for head in range(HEADS):
                kv_head = head * KV_HEADS // HEADS
                scores = k[: token + 1, kv_head] @ q[token, head] / np.sqrt(DIM)
                weights = np.exp(scores - scores.max())
                out[token, head] = weights @ v[: token + 1, kv_head] / weights.sum()
        return out.reshape(len(q), -1)
