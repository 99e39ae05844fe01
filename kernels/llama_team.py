"""Run the steps of a forward pass with a team of threads, one of which gives the orders.

Follows: workers stay inside compiled code between steps, waiting at a barrier: an order costs a
write to the plan instead of a call from Python for each thread.
Leaves out: starting and stopping threads (workbench/inference/thread_team.py).
"""

from __future__ import annotations

from numba import njit

from kernels import llama_steps
from kernels.interleave import N_ROWS, move_groups
from kernels.team import meet, share
from kernels.vectors import LANES

# `PASS` is `ATTEND` to a run that holds all tokens, and then `COMPLETE`.
# `PACK` moves a layer's rows to where the kernels want them.
STOP, PROJECT, ATTEND, COMPLETE, PASS, LOGITS, PACK = range(7)

_project, _attend = llama_steps.project, llama_steps.attend
_complete, _logits = llama_steps.complete, llama_steps.logits


@njit(cache=True, nogil=True, forceinline=True)
def _pack(plan, jobs, thread):
    for number in range(plan.n_packs):
        groups = -(-jobs[number, N_ROWS] // LANES)
        first, last = share(groups, thread, plan.n_threads)
        move_groups(jobs[number], first, last)


@njit(cache=True, nogil=True, forceinline=True)
def _perform(plan, layers, jobs, thread):
    """Do a thread's share of the plan's step."""
    step, number = plan.step, plan.layer
    if step == PACK:
        _pack(plan, jobs, thread)
    if step in (ATTEND, PASS):
        _attend(plan, thread)
    if step == PASS:
        meet(plan.counters, thread, plan.n_threads)
    if step in (COMPLETE, PASS):
        _complete(plan, layers[number], thread)
        # The same thread norms the tokens that it has just added to: nothing to wait for.
        number += 1
    if step == LOGITS:
        _logits(plan, thread)
    if step in (PROJECT, COMPLETE, PASS) and number < len(layers):
        _project(plan, layers[number], thread)


@njit(cache=True, nogil=True)
def take_part(plans, layers, jobs, thread, step, layer):
    """Order one step and take part in it as thread 0; as a worker take part until `STOP`.

    Parameters
    ----------
    plans, layers : record[1], record[n_layers]   `llama_plan.PLAN` and `LAYER`
    jobs : int64[n, JOB_VALUES]   of the matrices that `PACK` packs (kernels/interleave.py)
    thread : int        0 gives orders; 1.. wait for them, and pass over the rest
    step, layer : int   `COMPLETE` and `PASS` also project the next layer, if there is one

    Returns when all have taken the step.
    """
    plan = plans[0]
    if thread == 0:
        plan.step, plan.layer = step, layer
        if step == PASS:
            places = layers[layer]
            plan.run_k, plan.run_v = places.k, places.v
            plan.run_k_scales, plan.run_v_scales = places.k_scales, places.v_scales
    while True:
        meet(plan.counters, thread, plan.n_threads)
        stop = thread == 0 or plan.step == STOP
        _perform(plan, layers, jobs, thread)
        # Only behind this may the next order be written.
        meet(plan.counters, thread, plan.n_threads)
        if stop:
            return


@njit(cache=True, nogil=True)
def set_run(plans, memory, slots, places, dtype, span):
    """Say which run of cached blocks `ATTEND` or `PASS` is about.

    Parameters
    ----------
    memory : uint8[n_slots, row_bytes]
    slots : int64[n_blocks]
    places : tuple   byte offsets of K, V and their scales within a row; `PASS` has its own
    dtype : int      how the run's keys and values are kept (kv_tile.py)
    span : tuple     position of the run's first token, tokens in it
    """
    plan = plans[0]
    plan.run_memory, plan.run_row_bytes = memory.ctypes.data, memory.shape[1]
    plan.run_slots = slots.ctypes.data
    plan.run_k, plan.run_v, plan.run_k_scales, plan.run_v_scales = places
    plan.run_dtype = dtype
    plan.run_position, plan.run_tokens = span
