"""The records that compiled steps read."""

import numpy as np

from kernels.llama_plan import blank_layers, blank_plan


def test_records_begin_as_zeros_and_take_matrices_whole():
    plan, layers = blank_plan(), blank_layers(3)
    assert plan.shape == (1,)
    assert layers.shape == (3,)
    assert not layers.view(np.uint8).any()
    layers[1]["query"] = 2, 4096, 8, 64
    assert layers[1].query.tolist() == [2, 4096, 8, 64]
    plan[0].epsilon = 1e-5
    assert plan[0]["epsilon"] == 1e-5
    assert plan[0].n_tokens == 0
