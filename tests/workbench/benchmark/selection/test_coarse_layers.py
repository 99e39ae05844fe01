"""Coarser codecs in some layers: bytes, speed and loss through a real store, choice by choice."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.benchmark.selection.coarse_models import LAYERS, PLAN, model_of_three_groups
from tests.workbench.inference.tiny_models import ids
from workbench.benchmark.codecs import codec_quality
from workbench.benchmark.selection import coarse_choices, coarse_layers, real_text
from workbench.benchmark.selection.coarse_choices import (
    LEAST_LOSS,
    LEAST_MASS,
    LEAST_NEED,
    MOST_NEED,
    RULES,
    SPREAD,
    UNIFORM,
    Guides,
)
from workbench.benchmark.selection.coarse_layers import CoarsePlan
from workbench.inference.llama import LlamaModel


@pytest.fixture(scope="module")
def found(tmp_path_factory, disk_root):
    needs = np.array([0.2] * 3 + [0.1] * 3 + [0.3])
    choices = coarse_choices.choices(Guides(needs, needs, -needs), (1, 2), LAYERS)
    with pytest.MonkeyPatch.context() as patch:
        path = model_of_three_groups(tmp_path_factory.mktemp("model"), patch)
        with LlamaModel.open(path, threads=1) as model:
            stored = real_text.compute(model, ids(64, 1))
        plan = CoarsePlan((1, 2), PLAN, 64)
        with codec_quality.opened(path, disk_root, PLAN) as scoring:
            return coarse_layers.measure(scoring, disk_root, choices, stored, "", plan)


def test_coarser_layers_have_fewer_bytes_and_lose_more(found):
    by_choice = {choice[:2]: outcome for choice, outcome in found.outcomes.items()}
    fine, coarse = by_choice[UNIFORM, 0], by_choice[UNIFORM, 3]
    some, more = by_choice[LEAST_NEED, 1], by_choice[LEAST_NEED, 2]
    sizes = [one.token_bytes for one in (coarse, more, some, fine)]
    assert sizes == sorted(sizes)
    assert found.plain_bytes == LAYERS * 2 * 2 * 32 * 2 > fine.token_bytes
    # A map's bytes are those of its layers, but for tables and lines that are filled up.
    mixed = (4 * fine.token_bytes + 3 * coarse.token_bytes) / LAYERS
    assert some.token_bytes == pytest.approx(mixed, 0.02)
    assert 0 < fine.distance.kl.mean() < some.distance.kl.mean() < coarse.distance.kl.mean()
    assert len(some.distance.kl) == 32
    assert len(some.restore_s) == len(found.plain_s) == 10


def test_bytes_speed_and_quality_stand_in_one_table(found):
    table = found.table
    assert len(table) == 1 + 2 + 2 * len(RULES)
    assert table["codec"][0] == "none (float16)"
    assert table["times smaller"][0] == 1 < 1.7 < table["times smaller"][1]
    assert all(rate > 0 for rate in table["plain GB/s"])
    rows = found.metrics
    wanted = {"coarse_kl", "coarse_top1", "coarse_bytes", "coarse_restore"}
    assert set(rows["metric"]) == wanted
    assert set(rows["variant"]) == {UNIFORM, *RULES}
    assert "32 tokens" in found.notes[0]


def test_choices_of_as_many_groups_are_compared_token_by_token(found):
    # Here mass is need, and loss its opposite.
    for rule, other in ((LEAST_NEED, LEAST_MASS), (LEAST_LOSS, MOST_NEED)):
        same = found.kl_over(rule, other, 1)
        assert same.low == same.median == same.high == 1
    ratio = found.kl_over(LEAST_NEED, SPREAD, 1)
    assert ratio.low <= ratio.median <= ratio.high != 1
    table = found.comparison
    assert table.columns == ["layers of int4-hadamard", *(one for one in RULES if one != SPREAD)]
    assert table[LEAST_NEED][0] == str(ratio)
    assert len(table) == 2
