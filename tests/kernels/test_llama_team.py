"""A team takes the steps of a toy model: one thread or three, the same bits."""

import threading

import numpy as np
import pytest
from numba import config

from kernels.interleave import JOB_VALUES
from kernels.llama_team import ATTEND, COMPLETE, LOGITS, PROJECT, STOP, set_run, take_part
from tests.kernels.llama_toy import EMBEDDING, LAYERS, VOCAB, Toy

JOBS = np.zeros((1, JOB_VALUES), np.int64)


def passed(toy, hidden):
    """Pass a batch through the model as thread 0; return its logits."""
    toy.buffers["hidden"][:, :EMBEDDING] = hidden
    take_part(toy.plan, toy.records, JOBS, 0, PROJECT, 0)
    for layer in range(LAYERS):
        set_run(toy.plan, *toy.keep(layer))
        take_part(toy.plan, toy.records, JOBS, 0, ATTEND, layer)
        take_part(toy.plan, toy.records, JOBS, 0, COMPLETE, layer)
    take_part(toy.plan, toy.records, JOBS, 0, LOGITS, 0)
    return toy.buffers["logits"][:, :VOCAB].copy()


@pytest.mark.parametrize("n_tokens", [1, 7])
def test_teams_of_any_size_give_the_same_bits(n_tokens):
    hidden = np.random.default_rng(2).standard_normal((n_tokens, EMBEDDING), dtype=np.float32)
    alone = Toy(n_tokens)
    expected = passed(alone, hidden)
    np.testing.assert_allclose(expected, alone.expected(hidden)[1], rtol=1e-4, atol=1e-4)
    if config.DISABLE_JIT:
        return  # interpreted threads would wait for each other's interpreter lock
    toy = Toy(n_tokens, n_threads=3)
    workers = [
        threading.Thread(target=take_part, args=(toy.plan, toy.records, JOBS, number, STOP, 0))
        for number in (1, 2)
    ]
    for worker in workers:
        worker.start()
    for _ in range(3):
        np.testing.assert_array_equal(passed(toy, hidden), expected)
    take_part(toy.plan, toy.records, JOBS, 0, STOP, 0)
    for worker in workers:
        worker.join(timeout=30)
        assert not worker.is_alive()
