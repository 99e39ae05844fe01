"""Compute a Llama-like forward pass step by step, each thread of a team its share.

Follows: Llama 2's layer (Touvron et al. 2023): norm, attention, norm, SwiGLU, each added to what
came in; Qwen2's biases.
Leaves out: who calls which step (llama_team.py), embeddings, and keeping keys and values, which the
caller does between `project` and `attend`.

Tokens are shared out for what is done token by token, rows of the weights for products; a barrier
stands between. No result depends on the number of threads or on which tokens share a batch.
"""

from __future__ import annotations

from numba import njit

from kernels import attention
from kernels.activation_quant import quantize
from kernels.attention import Queries
from kernels.by_address import call
from kernels.dot import BLOCK
from kernels.kv_tile import Heads
from kernels.llama_plan import ADDRESS, GROUPS, LAYOUT, ROW_VALUES
from kernels.matvec import Activations, Output
from kernels.rms_norm import norm_row
from kernels.rope import turn_row
from kernels.swiglu import gate_row
from kernels.team import meet, share
from kernels.vector_memory import load, store
from kernels.vectors import LANES

_begin, _finish = attention.begin, attention.finish


@njit(cache=True, nogil=True)
def _add_row(to, source, n_values):
    """Add a row of float32 to another; both padded to a multiple of 8."""
    for at in range(0, 4 * n_values, 4 * LANES):
        store(to + at, load(to + at) + load(source + at))


@njit(cache=True, nogil=True)
def _wait(plan, thread):
    meet(plan.counters, thread, plan.n_threads)


@njit(cache=True, nogil=True)
def _activations(plan, floats, stride, n_tokens):
    """Return rows of floats together with the room for their quantised form."""
    return Activations(plan.quantized, plan.scales, plan.sums, floats, stride, stride, n_tokens)


@njit(cache=True, nogil=True)
def _product(plan, matrix, activations, output, thread):
    """Write this thread's share of a matrix product."""
    first, last = share(matrix[GROUPS], thread, plan.n_threads)
    call(
        plan.product,
        (
            matrix[LAYOUT],
            matrix[ADDRESS],
            first,
            last,
            activations.values,
            activations.scales,
            activations.sums,
            activations.floats,
            matrix[ROW_VALUES],
            activations.stride,
            activations.n_tokens,
            output.address,
            output.stride,
        ),
    )


@njit(cache=True, nogil=True)
def _quantize_share(plan, activations, thread):
    """Quantise this thread's tokens; rows that cannot be quantised meet no quantised weights."""
    if activations.stride % BLOCK == 0:
        first, last = share(activations.n_tokens, thread, plan.n_threads)
        quantize(activations, first, last)


@njit(cache=True, nogil=True)
def _norm_share(plan, weights, thread):
    """Norm and quantise this thread's tokens; return all tokens' activations."""
    stride = plan.hidden_stride
    activations = _activations(plan, plan.normed, stride, plan.n_tokens)
    first, last = share(plan.n_tokens, thread, plan.n_threads)
    for token in range(first, last):
        at = 4 * token * stride
        norm_row(plan.hidden + at, weights, plan.normed + at, plan.embedding, plan.epsilon)
    _quantize_share(plan, activations, thread)
    return activations


@njit(cache=True, nogil=True)
def _queries(plan):
    return Queries(
        plan.queries, plan.peaks, plan.weights, plan.gathered, plan.position, plan.n_tokens
    )


@njit(cache=True, nogil=True)
def _heads(plan):
    return Heads(plan.query_heads, plan.kv_heads, plan.head_dim, plan.run_dtype)


@njit(cache=True, nogil=True)
def _bias(rows, bias, token, width):
    if bias != 0:
        _add_row(rows + 4 * token * width, bias, width)


@njit(cache=True, nogil=True)
def project(plan, layer, thread):
    """Make the batch's queries, keys and values of a layer, turned by their positions."""
    activations = _norm_share(plan, layer.attention_norm, thread)
    _wait(plan, thread)
    query_width, kv_width = plan.query_heads * plan.head_dim, plan.kv_heads * plan.head_dim
    _product(plan, layer.query, activations, Output(plan.queries, query_width), thread)
    _product(plan, layer.key, activations, Output(plan.keys, kv_width), thread)
    _product(plan, layer.value, activations, Output(plan.values, kv_width), thread)
    _wait(plan, thread)
    first, last = share(plan.n_tokens, thread, plan.n_threads)
    halves = plan.halves != 0
    for token in range(first, last):
        _bias(plan.queries, layer.query_bias, token, query_width)
        _bias(plan.keys, layer.key_bias, token, kv_width)
        _bias(plan.values, layer.value_bias, token, kv_width)
        at = 4 * token * plan.n_pairs
        angles = plan.cosines + at, plan.sines + at, plan.n_pairs
        queries, keys = plan.queries + 4 * token * query_width, plan.keys + 4 * token * kv_width
        turn_row(queries, plan.query_heads, plan.head_dim, angles, halves)
        turn_row(keys, plan.kv_heads, plan.head_dim, angles, halves)
    _begin(_queries(plan), _heads(plan), first, last)


@njit(cache=True, nogil=True)
def attend(plan, thread):
    """Attend to the plan's run of cached blocks."""
    first_token, step, first_head, last_head = 0, 1, 0, plan.query_heads
    if plan.n_tokens < 2 * plan.n_threads:
        # Too few tokens to share out evenly: share out the heads.
        first_head, last_head = share(plan.query_heads, thread, plan.n_threads)
    else:
        # Every n-th token, as later ones see more.
        first_token, step = thread, plan.n_threads
    call(
        plan.attend,
        (
            plan.queries,
            plan.peaks,
            plan.weights,
            plan.gathered,
            plan.position,
            plan.n_tokens,
            plan.query_heads,
            plan.kv_heads,
            plan.head_dim,
            plan.run_dtype,
            plan.run_memory,
            plan.run_row_bytes,
            plan.run_slots,
            plan.run_k,
            plan.run_v,
            plan.run_k_scales,
            plan.run_v_scales,
            plan.run_block_tokens,
            plan.run_position,
            plan.run_tokens,
            first_token,
            step,
            first_head,
            last_head,
            plan.scratch + thread * plan.scratch_stride,
        ),
    )


@njit(cache=True, nogil=True)
def _add_delta(plan, thread):
    """Add what a part of the layer gave to this thread's tokens."""
    first, last = share(plan.n_tokens, thread, plan.n_threads)
    for token in range(first, last):
        at = 4 * token * plan.hidden_stride
        _add_row(plan.hidden + at, plan.delta + at, plan.hidden_stride)


@njit(cache=True, nogil=True)
def complete(plan, layer, thread):
    """Finish a layer: attention's output and the feed-forward part, each added to the batch."""
    first, last = share(plan.n_tokens, thread, plan.n_threads)
    _finish(_queries(plan), _heads(plan), first, last)
    width = plan.query_heads * plan.head_dim
    gathered = _activations(plan, plan.gathered, width, plan.n_tokens)
    _quantize_share(plan, gathered, thread)
    _wait(plan, thread)
    delta = Output(plan.delta, plan.hidden_stride)
    _product(plan, layer.attention_output, gathered, delta, thread)
    _wait(plan, thread)
    _add_delta(plan, thread)
    normed = _norm_share(plan, layer.feed_forward_norm, thread)
    _wait(plan, thread)
    _product(plan, layer.gate, normed, Output(plan.gate, plan.gate_stride), thread)
    _product(plan, layer.up, normed, Output(plan.up, plan.gate_stride), thread)
    # Each thread gates the columns that it computed.
    start, stop = share(layer.gate[GROUPS], thread, plan.n_threads)
    for token in range(plan.n_tokens):
        at = 4 * (token * plan.gate_stride + start * LANES)
        gate_row(plan.gate + at, plan.up + at, plan.gate + at, (stop - start) * LANES)
    _wait(plan, thread)
    gated = _activations(plan, plan.gate, plan.gate_stride, plan.n_tokens)
    _quantize_share(plan, gated, thread)
    _wait(plan, thread)
    _product(plan, layer.down, gated, delta, thread)
    _wait(plan, thread)
    _add_delta(plan, thread)


@njit(cache=True, nogil=True)
def logits(plan, thread):
    """Write the logits of some rows of the batch, float32[n_rows, logits_stride]."""
    stride = plan.hidden_stride
    first, last = share(plan.n_rows, thread, plan.n_threads)
    for row in range(first, last):
        source = plan.hidden + 4 * (plan.first_row + row) * stride
        to = plan.normed + 4 * row * stride
        norm_row(source, plan.output_norm, to, plan.embedding, plan.epsilon)
    normed = _activations(plan, plan.normed, stride, plan.n_rows)
    _quantize_share(plan, normed, thread)
    _wait(plan, thread)
    _product(plan, plan.output, normed, Output(plan.logits, plan.logits_stride), thread)
