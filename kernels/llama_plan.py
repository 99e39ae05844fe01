"""Lay out what a compiled forward pass must know: one record of numbers and addresses, one a layer.

Follows: Numba reads fields of a NumPy record in place, so a call hands over two pointers however
much there is to know, and all threads of a team see what one of them writes.
Leaves out: who owns the memory behind the addresses (workbench/inference/workspace.py).
"""

from __future__ import annotations

import numpy as np

# A matrix: layout (kernels/matrix.py), address, groups of eight rows, values a row.
_MATRIX = (np.int64, (4,))
LAYOUT, ADDRESS, GROUPS, ROW_VALUES = range(4)

LAYER = np.dtype(
    [
        ("attention_norm", np.int64),  # addresses of float32, padded with zeros to 32 values
        ("feed_forward_norm", np.int64),
        ("query_bias", np.int64),  # 0: none
        ("key_bias", np.int64),
        ("value_bias", np.int64),
        ("query", *_MATRIX),
        ("key", *_MATRIX),
        ("value", *_MATRIX),
        ("attention_output", *_MATRIX),
        ("gate", *_MATRIX),
        ("up", *_MATRIX),
        ("down", *_MATRIX),
        # Where the layer's keys and values lie within a whole cached block, and their scales.
        ("k", np.int64),
        ("v", np.int64),
        ("k_scales", np.int64),
        ("v_scales", np.int64),
    ]
)

# Whole numbers before a layer's matrices, which follow each other.
FIRST_MATRIX = list(LAYER.names).index("query")

PLAN = np.dtype(
    [
        # The team.
        ("n_threads", np.int64),
        ("counters", np.int64),
        ("step", np.int64),
        ("layer", np.int64),
        ("n_packs", np.int64),  # matrices that are to be packed
        # Addresses of compiled functions: `matrix.PRODUCT` and `attention.ATTEND`.
        ("product", np.int64),
        ("attend", np.int64),
        # The model.
        ("embedding", np.int64),
        ("epsilon", np.float64),
        ("query_heads", np.int64),
        ("kv_heads", np.int64),
        ("head_dim", np.int64),
        ("n_pairs", np.int64),
        ("halves", np.int64),
        ("output_norm", np.int64),
        ("output", *_MATRIX),
        # The batch.
        ("n_tokens", np.int64),
        ("position", np.int64),
        ("cosines", np.int64),  # float32[n_tokens, n_pairs]
        ("sines", np.int64),
        ("first_row", np.int64),  # of the tokens whose logits are wanted
        ("n_rows", np.int64),
        # Buffers, each float32[n_tokens, width] unless it says otherwise.
        ("hidden", np.int64),
        ("hidden_stride", np.int64),
        ("normed", np.int64),
        ("quantized", np.int64),  # int8
        ("scales", np.int64),
        ("sums", np.int64),
        ("queries", np.int64),
        ("keys", np.int64),
        ("values", np.int64),
        ("gathered", np.int64),
        ("peaks", np.int64),  # [n_tokens, query_heads]
        ("weights", np.int64),  # [n_tokens, query_heads], sums of the softmax
        ("delta", np.int64),
        ("gate", np.int64),
        ("up", np.int64),
        ("gate_stride", np.int64),
        ("logits", np.int64),
        ("logits_stride", np.int64),
        ("scratch", np.int64),  # a share of scratch_stride bytes for each thread
        ("scratch_stride", np.int64),
        # The run of cached blocks that is attended to.
        ("run_dtype", np.int64),  # of kv_tile.py
        ("run_memory", np.int64),
        ("run_row_bytes", np.int64),
        ("run_slots", np.int64),
        ("run_k", np.int64),
        ("run_v", np.int64),
        ("run_k_scales", np.int64),
        ("run_v_scales", np.int64),
        ("run_block_tokens", np.int64),
        ("run_position", np.int64),
        ("run_tokens", np.int64),
    ]
)


def blank_plan() -> np.recarray:
    """Return one plan of zeros, record[1]."""
    return np.zeros(1, PLAN).view(np.recarray)


def blank_layers(n_layers: int) -> np.recarray:
    """Return layers of zeros, record[n_layers]."""
    return np.zeros(n_layers, LAYER).view(np.recarray)
