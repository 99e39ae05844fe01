"""Attention mass: whole, by age, by hand on keys that say where to look, and beside a reference."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from workbench.benchmark.selection import attention_mass, real_text
from workbench.inference.llama import LlamaModel


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = write_model(tmp_path_factory.mktemp("model"))
    with LlamaModel.open(path, threads=1) as model:
        text = real_text.compute(model, ids(100))
        yield attention_mass.measure(model, text, ids(5, 1))


def test_every_head_s_attention_is_whole(found):
    assert found.mass.shape == (2, 8, len(found.ages))
    np.testing.assert_allclose(found.mass.sum(axis=2), 1, rtol=1e-5)
    assert found.ages == ("sinks (first 16)", "0 to 15", "16 to 63", "64 to 105")
    assert (found.n_queries, found.context_tokens) == (5, 100)


def test_random_weights_look_nowhere_in_particular(found):
    # 16 of about 103 tokens, then 16, 48 and the rest.
    expected = np.array([16, 16, 48, 23]) / 103
    np.testing.assert_allclose(found.mass.mean(axis=(0, 1)), expected, atol=0.02)


def test_rows_and_table_hold_every_layer(found):
    assert len(found.metrics) == 2 * 4
    assert found.metrics["case"].unique().sort().to_list() == ["layer=0", "layer=1"]
    assert found.table["layer"].to_list() == [0, 1]
    assert "farthest head" in found.table.columns


def test_far_is_what_is_neither_sink_nor_recent(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        text = real_text.compute(model, ids(400))
        got = attention_mass.measure(model, text, ids(2, 1))
    assert got.ages[-1] == "256 to 402"
    np.testing.assert_allclose(got.far, got.mass[:, :, -1].mean(axis=1))
    assert got.far == pytest.approx([(401.5 - 256 - 16) / 401.5] * 2, abs=0.06)


def test_watching_changes_no_answer(tmp_path):
    path = write_model(tmp_path)
    with LlamaModel.open(path, threads=1) as model:
        text = real_text.compute(model, ids(100))
        attention_mass.measure(model, text, ids(3, 1))
        # The queries that were watched are the reference's own: they attend to the same place.
        weights = attention_mass._weights(
            np.array([[1, 0], [0, 1]], np.float32), np.array([[[0, 9]], [[9, 0]]], np.float32)
        )
    strong = 1 / (1 + np.exp(-9 / np.sqrt(2)))
    np.testing.assert_allclose(weights, [[1 - strong, strong], [strong, 1 - strong]], rtol=1e-5)
