"""Layers' needs: groups, budgets in proportion to roots, and that what matters shows."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from workbench.benchmark.selection import layer_needs, real_text
from workbench.benchmark.selection.layer_needs import LayerNeeds, NeedsPlan
from workbench.inference.llama import LlamaModel


def test_needs_are_roots_a_group_of_layers_each():
    found = LayerNeeds(np.array([0.04, 0.01, 0.0]), 8, 0.1)
    assert found.groups == ["0 to 2", "3 to 5", "6 to 7"]
    np.testing.assert_allclose(found.needs, [0.2] * 3 + [0.1] * 3 + [0.001] * 2, rtol=1e-3)
    assert found.metrics["variant"].to_list() == found.groups
    table = found.table(np.linspace(0, 0.7, 8), 0.3)
    assert table["layers"].to_list() == found.groups
    assert table["KL at 10% of its blocks"].to_list() == ["0.0400", "0.0100", "0.0000"]
    shares = [float(one.rstrip(" %")) for one in table["budget of 30% in all"]]
    assert shares[0] == pytest.approx(2 * shares[1], abs=0.2)
    assert np.repeat(shares, [3, 3, 2]).mean() == pytest.approx(30, abs=0.1)


def test_layers_that_pass_over_blocks_answer_otherwise(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        text = real_text.compute(model, ids(160))
        plan = NeedsPlan(block_tokens=16, recent_tokens=32, frac=0.3)
        cut = layer_needs.measure(model, text, ids(4, 1), plan)
        whole = layer_needs.measure(model, text, ids(4, 1), NeedsPlan(16, 32, 1.0))
    assert cut.kl.shape == (1,)
    assert cut.kl[0] > 1e-6
    assert whole.kl[0] == 0
