"""What a group alone loses: one figure a group, on a finer codec's background."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.benchmark.selection.coarse_models import LAYERS, PLAN, model_of_three_groups
from workbench.benchmark.codecs import codec_quality
from workbench.benchmark.selection import coarse_losses
from workbench.benchmark.selection.coarse_losses import CoarseLosses
from workbench.benchmark.selection.layer_needs import LayerNeeds


def test_a_coarser_group_loses_more_than_none(tmp_path, monkeypatch):
    path = model_of_three_groups(tmp_path, monkeypatch)
    with codec_quality.opened(path, tmp_path, PLAN) as scoring:
        found = coarse_losses.measure(scoring, "")
    assert found.kl.shape == (3,)
    assert (found.kl > found.fine_kl).all()
    assert found.fine_kl > 0
    assert found.n_tokens == 32
    assert len(set(found.kl.tolist())) == 3


def test_groups_stand_beside_need_and_mass():
    found = CoarseLosses(np.array([3e-4, 2e-4, 5e-4]), 1e-4, LAYERS, 32)
    assert found.per_layer.tolist() == [3e-4] * 3 + [2e-4] * 3 + [5e-4]
    assert found.metrics["variant"].to_list() == ["0 to 2", "3 to 5", "6 to 6"]
    assert found.metrics["value"].to_list() == found.kl.tolist()
    needs = LayerNeeds(np.array([0.04, 0.01, 0.0]), LAYERS, 0.1)
    table = found.table(needs, np.linspace(0, 0.6, LAYERS))
    assert table.row(2) == ("6 to 6", "60.0 %", "0.0000", "0.000500", "+0.000400")
    assert pytest.approx(1e-4) == float(table.row(1)[-1])
