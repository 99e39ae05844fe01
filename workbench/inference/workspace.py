"""Own the memory that a forward pass computes in, and tell the compiled code where it is.

Follows: one allocation a model, for the largest batch; nothing is allocated token by token.
Leaves out: weights (weights.py) and cached keys and values (workbench/tiering).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels import team
from kernels.attention import ATTEND, scratch_floats
from kernels.llama_plan import blank_plan
from kernels.matrix import PRODUCT
from workbench.inference.llama_config import LlamaConfig
from workbench.inference.tensor_names import OUTPUT_NORM, output_name
from workbench.inference.weights import LlamaWeights, padded
from workbench.tiering.memory import allocate
from workbench.tiering.tiered_kv_cache import BlockLayout

LOGIT_ROWS = 16  # positions whose logits are computed at once
_BLOCK = 32
_ALIGN_FLOATS = 16  # a cache line, so that threads' shares of scratch memory do not meet

Floats = NDArray[np.float32]


class Workspace:
    """Buffers for batches of up to ``batch_tokens`` tokens, and the plan that points to them.

    Attributes
    ----------
    plan : record[1]                                        `llama_plan.PLAN`
    hidden : float32[batch_tokens, padded(embedding)]       what goes from layer to layer
    queries : float32[batch_tokens, query_heads, head_dim]   of the layer just projected
    keys, values : float32[batch_tokens, kv_heads, head_dim]   of the same
    logits : float32[16, at least vocab_size]
    """

    def __init__(
        self, config: LlamaConfig, weights: LlamaWeights, batch_tokens: int, threads: int
    ) -> None:
        self.batch_tokens = batch_tokens
        self._vocab_size = config.vocab_size
        query_width = config.query_width
        widest = max(padded(config.embedding), padded(config.feed_forward), padded(query_width))
        vocab = -(-config.vocab_size // 8) * 8

        def floats(*shape: int) -> Floats:
            return np.zeros(shape, np.float32)

        self.hidden = floats(batch_tokens, padded(config.embedding))
        self.queries = floats(batch_tokens, config.heads, config.head_dim)
        self.keys = floats(batch_tokens, config.kv_heads, config.head_dim)
        self.values = floats(batch_tokens, config.kv_heads, config.head_dim)
        self.logits = floats(LOGIT_ROWS, vocab)
        scratch = -(-scratch_floats(config.head_dim) // _ALIGN_FLOATS) * _ALIGN_FLOATS
        # From an odd multiple of 16 bytes on, every other vector crosses a cache line: attention
        # takes 1.3 times as long (35 and 46 us for 512 tokens).
        aligned = allocate(4 * threads * scratch).view(np.float32).reshape(threads, scratch)
        self._buffers: dict[str, NDArray[np.generic]] = {
            "hidden": self.hidden,
            "keys": self.keys,
            "values": self.values,
            "logits": self.logits,
            "normed": floats(batch_tokens, padded(config.embedding)),
            "quantized": np.zeros((batch_tokens, widest), np.int8),
            "scales": floats(batch_tokens, widest // _BLOCK),
            "sums": floats(batch_tokens, widest // _BLOCK),
            "queries": self.queries,
            "gathered": floats(batch_tokens, query_width),
            "peaks": floats(batch_tokens, config.heads),
            "weights": floats(batch_tokens, config.heads),
            "delta": floats(batch_tokens, padded(config.embedding)),
            "gate": floats(batch_tokens, padded(config.feed_forward)),
            "up": floats(batch_tokens, padded(config.feed_forward)),
            "scratch": aligned,
        }
        self._counters = team.lines(threads)
        self.plan = blank_plan()
        plan = self.plan[0]
        for name, buffer in self._buffers.items():
            plan[name] = buffer.ctypes.data
        plan.product, plan.attend = PRODUCT.address, ATTEND.address
        plan.n_threads, plan.counters = threads, team.first_line(self._counters)
        plan.embedding, plan.epsilon = config.embedding, config.rms_epsilon
        plan.query_heads, plan.kv_heads = config.heads, config.kv_heads
        plan.head_dim = config.head_dim
        plan.n_pairs = config.rope.dimensions // 2
        plan.halves = config.rope.pairing == "halves"
        plan.output_norm = weights.vector_address(OUTPUT_NORM)
        plan.output = weights.matrices[output_name(config)].entry
        plan.hidden_stride = self.hidden.shape[1]
        plan.gate_stride = padded(config.feed_forward)
        plan.logits_stride = vocab
        plan.scratch_stride = 4 * scratch

    def set_batch(self, position: int, angles: tuple[Floats, Floats]) -> None:
        """Say where the next batch stands and how its pairs are turned."""
        self._angles = angles  # kept alive: the plan holds their addresses
        plan = self.plan[0]
        plan.n_tokens, plan.position = len(angles[0]), position
        plan.cosines, plan.sines = (side.ctypes.data for side in angles)

    def set_cache(self, layout: BlockLayout) -> None:
        """Say how many tokens the cache's blocks hold."""
        self.plan[0].run_block_tokens = layout.block_tokens

    def set_logit_rows(self, first: int, n_rows: int) -> Floats:
        """Say whose logits are wanted, at most 16 rows; return where they will be."""
        plan = self.plan[0]
        plan.first_row, plan.n_rows = first, n_rows
        return self.logits[:n_rows, : self._vocab_size]
