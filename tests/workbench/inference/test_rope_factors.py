"""rope_factors(): the tensor's values, ones without, and nothing that would divide by zero."""

import struct

import numpy as np
import pytest

from tests.workbench.tiering.gguf_models import Model
from workbench.inference.architecture import llama_config
from workbench.inference.rope_factors import rope_factors
from workbench.tiering.mmap_gguf import GGUFError, open_model

TENSOR = {"rope_freqs.weight": ((8,), "F32")}


def written(tmp_path, factors: list[float]):
    file = Model(tensors=TENSOR).file()
    # It is the last tensor.
    file.data = file.data[:-32] + struct.pack("<8f", *factors)
    return file.write(tmp_path / "m.gguf")


def test_without_a_tensor_nothing_is_divided(tmp_path):
    with open_model(Model().file().write(tmp_path / "m.gguf")) as model:
        got = rope_factors(model, llama_config(model.header).rope)
    np.testing.assert_array_equal(got, np.ones(8, np.float32))


def test_the_tensors_values_are_returned(tmp_path):
    factors = [1.0, 1.0, 1.5, 2.0, 4.0, 8.0, 8.0, 32.0]
    with open_model(written(tmp_path, factors)) as model:
        assert rope_factors(model, llama_config(model.header).rope).tolist() == factors


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_factors_that_make_no_sense_are_refused(tmp_path, wrong):
    path = written(tmp_path, [1.0] * 7 + [wrong])
    with open_model(path) as model, pytest.raises(GGUFError, match=r"\[7\] = ") as caught:
        rope_factors(model, llama_config(model.header).rope)
    assert caught.value.offset == path.stat().st_size - 4
