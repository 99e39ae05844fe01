"""One thread's steps of a toy model against NumPy in float64."""

import numpy as np

from kernels import llama_steps
from tests.kernels.llama_toy import EMBEDDING, LAYERS, VOCAB, Toy


def test_the_steps_together_are_the_model():
    toy = Toy(3)
    plan = toy.plan[0]
    hidden = np.random.default_rng(1).standard_normal((3, EMBEDDING), dtype=np.float32)
    toy.buffers["hidden"][:, :EMBEDDING] = hidden
    for number in range(LAYERS):
        layer = toy.records[number]
        llama_steps.project(plan, layer, 0)
        memory, slots, places, plan.run_dtype, span = toy.keep(number)
        plan.run_memory, plan.run_row_bytes = memory.ctypes.data, memory.shape[1]
        plan.run_slots, plan.run_tokens = slots.ctypes.data, span[1]
        plan.run_k, plan.run_v = places[:2]
        llama_steps.attend(plan, 0)
        llama_steps.complete(plan, layer, 0)
    llama_steps.logits(plan, 0)
    expected, logits = toy.expected(hidden)
    np.testing.assert_allclose(toy.buffers["hidden"][:, :EMBEDDING], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(toy.buffers["logits"][:, :VOCAB], logits, rtol=1e-4, atol=1e-4)
    assert not toy.buffers["hidden"][:, EMBEDDING:].any()
