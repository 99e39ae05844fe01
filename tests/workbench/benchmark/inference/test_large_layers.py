"""The file of 70B-shaped layers: a whole GGUF model, read by the code that reads all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workbench.benchmark.inference.large_layers import LAYERS, LayersShape, write_layers
from workbench.inference.architecture import llama_config
from workbench.tiering.mmap_gguf import dequantized, open_model


def test_a_share_of_a_layer_is_a_model_with_ordinary_weights(tmp_path):
    shape = LayersShape(n_layers=1, share=8)
    path = tmp_path / "layers.gguf"
    write_layers(path, shape)
    assert path.stat().st_size <= shape.file_bytes
    with open_model(path) as model:
        found = llama_config(model.header)
        # The file keeps it in float32.
        assert found.rms_epsilon == pytest.approx(1e-5)
        assert replace(found, rms_epsilon=1e-5) == shape.config
        key = dequantized(model.tensor("blk.0.attn_k.weight"))
    assert key.shape == (128, 8192)
    assert 0.001 < key.std() < 0.1
    assert abs(key.mean()) < 0.1 * key.std()
    # Rows differ: nothing is a copy that a device could recognise.
    assert len(np.unique(key[:, 0])) > 64


def test_the_whole_model_has_the_published_size():
    values = LayersShape(1, 1).layer_bytes * LAYERS / 4.5 * 8
    assert 67e9 < values < 70e9
    assert LayersShape(1, 8).layer_bytes * 8 - LayersShape(1, 1).layer_bytes < 1e6
