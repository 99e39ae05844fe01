"""Pass tokens through a model in float32 throughout: restored weights, BLAS, plain activations.

Follows: transformers' float32 arithmetic on restored weights, against which the fast pass is held.
Leaves out: speed (every matrix is restored each time it is used), and threads but those of BLAS.
Attention is the fast pass's own kernel, which computes in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels import attention
from kernels.attention import Queries, Share, scratch_floats
from kernels.dequantize import dequantize
from kernels.kv_tile import FLOAT32, Heads, Run
from kernels.rms_norm import norm_rows
from kernels.rope import turn_pairs
from workbench.errors import UsageError
from workbench.inference.embedding import Embedding
from workbench.inference.forward import Floats, KVSequence
from workbench.inference.llama_config import LlamaConfig
from workbench.inference.rope_angles import RopeAngles
from workbench.inference.rope_factors import rope_factors
from workbench.inference.tensor_names import (
    EMBEDDING,
    OUTPUT_NORM,
    LayerNames,
    layer_names,
    output_name,
)
from workbench.inference.weights import WeightsStats
from workbench.tiering.mmap_gguf import ModelMap, Tensor, dequantized
from workbench.tiering.tiered_kv_cache import BlockLayout, LayerRun

NO_BUDGET = (
    "weights_budget_bytes={:,} is nothing to the exact pass, which keeps no weights in memory; "
    "leave it out, or compute with exact=False"
)
_OUTPUT_ROWS = 4096  # rows of the output matrix that are restored at once


class ExactForward:
    """The exact pass of one model; for one thread at a time."""

    logit_rows = 64

    def __init__(self, model: ModelMap, config: LlamaConfig, batch_tokens: int) -> None:
        self.batch_tokens = batch_tokens
        self._model, self._config = model, config
        self._embedding = Embedding(model, EMBEDDING)
        self._angles = RopeAngles(config.rope, rope_factors(model, config.rope))
        self._scratch = np.zeros(scratch_floats(config.head_dim), np.float32)
        self._hidden = np.empty((0, config.embedding), np.float32)
        self._queries = np.empty((0, config.heads, config.head_dim), np.float32)
        self._layout: BlockLayout | None = None

    def run(self, token_ids: Sequence[int], sequence: KVSequence) -> None:
        """Pass tokens through all layers; as `Forward.run`."""
        config, position, n_tokens = self._config, sequence.n_tokens, len(token_ids)
        hidden = np.empty((n_tokens, config.embedding), np.float32)
        self._embedding.look_up(token_ids, hidden)
        sequence.extend(token_ids)
        angles = self._angles.at(position, n_tokens)
        for layer in range(config.layers):
            names = layer_names(layer)
            normed = self._normed(hidden, names.attention_norm)
            queries, keys, values = self._projected(normed, names, angles)
            sequence.store(layer, keys, values)
            self._queries = queries
            gathered = self._attended(queries, position, sequence, layer)
            hidden += self._product(gathered, names.attention_output)
            normed = self._normed(hidden, names.feed_forward_norm)
            gate, up = self._product(normed, names.gate), self._product(normed, names.up)
            hidden += self._product(gate / (1 + np.exp(-gate)) * up, names.down)
        self._hidden = hidden

    @property
    def queries(self) -> Floats:
        """Return the queries of the layer that is being attended to; as `Forward.queries`."""
        return self._queries

    def logits(self, first: int, n_rows: int) -> Floats:
        """Return logits of the last batch; as `Forward.logits`."""
        normed = self._normed(self._hidden[first : first + n_rows], OUTPUT_NORM)
        output = self._model.tensor(output_name(self._config))
        logits = np.empty((n_rows, output.n_rows), np.float32)
        for start in range(0, output.n_rows, _OUTPUT_ROWS):
            rows = slice(start, start + _OUTPUT_ROWS)
            logits[:, rows] = normed @ _restored(output, rows).T
        return logits

    def use_cache(self, layout: BlockLayout) -> None:
        """Say how the sequences to come hold keys and values."""
        self._layout = layout

    @property
    def weights(self) -> WeightsStats:
        """Return that no weights are held: the page cache's pages are not this process's."""
        return WeightsStats(0, 0, 0, self._config.layers, 0, 0, 0.0)

    def set_weights_budget(self, n_bytes: int) -> None:
        """Refuse: there is nothing to keep within it."""
        raise UsageError(NO_BUDGET.format(n_bytes))

    def close(self) -> None:
        """Give nothing back: nothing is held."""

    def _normed(self, rows: Floats, name: str) -> Floats:
        normed = np.empty_like(rows)
        weights = dequantized(self._model.tensor(name))
        norm_rows(rows, weights, self._config.rms_epsilon, normed)
        return normed

    def _product(self, rows: Floats, name: str, bias: str = "") -> Floats:
        tensor = self._model.tensor(name)
        product: Floats = rows @ _restored(tensor, slice(0, tensor.n_rows)).T
        return product + dequantized(self._model.tensor(bias)) if bias else product

    def _projected(
        self, normed: Floats, names: LayerNames, angles: tuple[Floats, Floats]
    ) -> tuple[Floats, Floats, Floats]:
        """Return queries, keys and values, [n_tokens, heads, head_dim]; the first two turned."""
        config, biased = self._config, self._config.qkv_biases
        sides = []
        for name, bias, n_heads in (
            (names.query, names.query_bias, config.heads),
            (names.key, names.key_bias, config.kv_heads),
            (names.value, names.value_bias, config.kv_heads),
        ):
            side = self._product(normed, name, bias if biased else "")
            sides.append(side.reshape(len(normed), n_heads, config.head_dim))
        for side in sides[:2]:
            turn_pairs(side, *angles, config.rope.pairing == "halves")
        return sides[0], sides[1], sides[2]

    def _attended(self, queries: Floats, position: int, sequence: KVSequence, layer: int) -> Floats:
        """Return what the queries gather from all keys up to their own, [n_tokens, width]."""
        assert self._layout is not None
        config, n_tokens = self._config, len(queries)
        gathered = np.empty_like(queries)
        state = np.empty((2, n_tokens, config.heads), np.float32)
        values, peaks, sums, out = map(_address, (queries, state[0], state[1], gathered))
        batch = Queries(values, peaks, sums, out, position, n_tokens)
        heads = Heads(config.heads, config.kv_heads, config.head_dim, FLOAT32)
        share = Share(0, 1, 0, config.heads, _address(self._scratch))
        attention.begin(batch, heads, 0, n_tokens)
        at = 0
        for run in sequence.runs(layer):
            kept = heads._replace(dtype=run.dtype)
            attention.attend(batch, kept, _as_kernel_run(run, self._layout, at), share)
            at += run.n_tokens
        attention.finish(batch, heads, 0, n_tokens)
        return gathered.reshape(n_tokens, -1)


def _restored(tensor: Tensor, rows: slice) -> Floats:
    """Return some rows' values in float32."""
    packed = tensor.rows[rows]
    values = np.empty((len(packed), tensor.row_values), np.float32)
    dequantize(tensor.info.ggml_type.name, packed.ravel(), values.ravel())
    return values


def _address(array: NDArray[np.generic]) -> int:
    return int(array.ctypes.data)


def _as_kernel_run(run: LayerRun, layout: BlockLayout, position: int) -> Run:
    memory, slots = _address(run.memory), _address(run.slots)
    row_bytes = run.memory.shape[1]
    return Run(memory, row_bytes, slots, *run.places, layout.block_tokens, position, run.n_tokens)
