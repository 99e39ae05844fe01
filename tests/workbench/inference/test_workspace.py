"""The memory of a forward pass and the plan that points to it."""

import numpy as np

from tests.workbench.inference.tiny_models import cache_for, write_model
from workbench.inference.architecture import llama_config
from workbench.inference.llama import LlamaModel
from workbench.inference.weights import LlamaWeights
from workbench.inference.workspace import LOGIT_ROWS, Workspace
from workbench.tiering.mmap_gguf import open_model


def workspace(path, batch_tokens=5, threads=3):
    with open_model(path) as model:
        config = llama_config(model.header)
        weights = LlamaWeights(model, config)
        return Workspace(config, weights, batch_tokens, threads), weights


def test_the_plan_points_to_the_buffers(tmp_path):
    space, _weights = workspace(write_model(tmp_path, vocab=43))
    plan = space.plan[0]
    assert plan.hidden == space.hidden.ctypes.data
    assert plan.keys == space.keys.ctypes.data
    assert space.hidden.shape == (5, 256)
    assert plan.hidden_stride == 256
    assert space.logits.shape == (LOGIT_ROWS, 48)
    assert plan.n_threads == 3
    assert plan.scratch_stride % 64 == 0
    assert plan.scratch % 64 == 0


def test_logit_rows_leave_out_the_padding(tmp_path):
    space, _weights = workspace(write_model(tmp_path, vocab=43))
    rows = space.set_logit_rows(2, 3)
    assert rows.shape == (3, 43)
    assert (space.plan[0].first_row, space.plan[0].n_rows) == (2, 3)
    assert np.shares_memory(rows, space.logits)


def test_a_batch_and_a_cache_are_set(tmp_path):
    path = write_model(tmp_path)
    space, _weights = workspace(path)
    angles = np.zeros((2, 4, 16), np.float32)
    space.set_batch(7, (angles[0], angles[1]))
    assert (space.plan[0].position, space.plan[0].n_tokens) == (7, 4)
    with LlamaModel.open(path, threads=1) as model, cache_for(model, "int8") as cache:
        space.set_cache(cache.layout)
    assert space.plan[0].run_block_tokens == 16
