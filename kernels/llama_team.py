"""Run the steps of a forward pass with a team of threads, one of which gives the orders.

Follows: workers stay inside compiled code between steps, waiting at a barrier: an order costs a
write to the plan instead of a call from Python for each thread.
Leaves out: starting and stopping threads (workbench/inference/thread_team.py).
"""

from __future__ import annotations

from numba import njit

from kernels import llama_steps
from kernels.team import meet

STOP, PROJECT, ATTEND, COMPLETE, LOGITS = range(5)

_project, _attend = llama_steps.project, llama_steps.attend
_complete, _logits = llama_steps.complete, llama_steps.logits


@njit(cache=True, nogil=True)
def _perform(plan, layers, thread):
    """Do a thread's share of the plan's step."""
    layer = layers[plan.layer]
    if plan.step == ATTEND:
        _attend(plan, thread)
    elif plan.step == COMPLETE:
        _complete(plan, layer, thread)
        if plan.layer + 1 < len(layers):
            # The same thread norms the tokens that it has just added to: nothing to wait for.
            layer = layers[plan.layer + 1]
    elif plan.step == LOGITS:
        _logits(plan, thread)
    if plan.step == PROJECT or (plan.step == COMPLETE and plan.layer + 1 < len(layers)):
        _project(plan, layer, thread)


@njit(cache=True, nogil=True)
def take_part(plans, layers, thread, step, layer):
    """Order one step and take part in it as thread 0; as a worker take part until `STOP`.

    Parameters
    ----------
    plans, layers : record[1], record[n_layers]   `llama_plan.PLAN` and `LAYER`
    thread : int        0 gives orders; 1.. wait for them, and pass over the rest
    step, layer : int   `COMPLETE` also projects the next layer, if there is one

    Returns when all have taken the step.
    """
    plan = plans[0]
    if thread == 0:
        plan.step, plan.layer = step, layer
    while True:
        meet(plan.counters, thread, plan.n_threads)
        stop = thread == 0 or plan.step == STOP
        _perform(plan, layers, thread)
        # Only behind this may the next order be written.
        meet(plan.counters, thread, plan.n_threads)
        if stop:
            return


@njit(cache=True, nogil=True)
def set_run(plans, memory, slots, places, span):
    """Say which run of cached blocks `ATTEND` is about.

    Parameters
    ----------
    memory : uint8[n_slots, row_bytes]
    slots : int64[n_blocks]
    places : tuple   byte offsets of K, V and their scales within a row
    span : tuple     position of the run's first token, tokens in it
    """
    plan = plans[0]
    plan.run_memory, plan.run_row_bytes = memory.ctypes.data, memory.shape[1]
    plan.run_slots = slots.ctypes.data
    plan.run_k, plan.run_v, plan.run_k_scales, plan.run_v_scales = places
    plan.run_position, plan.run_tokens = span
