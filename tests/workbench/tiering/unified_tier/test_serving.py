"""What a model is given: all it can use, its least, or a refusal."""

import pytest

from tests.workbench.inference.tiny_models import write_model
from tests.workbench.tiering.unified_tier.layered_model import LayeredModel
from tests.workbench.tiering.unified_tier.opened import on_disk, serving
from workbench.tiering.unified_tier.load_or_recompute import Always

BLOCK = 64 * 8 * 2 * 2 * 32 * 2


@pytest.fixture
def model(tmp_path):
    with LayeredModel(write_model(tmp_path, layers=8)) as model:
        yield model


def test_weights_that_fit_stay_whole_and_kv_has_the_rest(model):
    with serving(model, ram_bytes=model.weights_bytes + 100 * BLOCK, kv_max_frac=0.1) as tiers:
        served = tiers._serving
        assert served.balance.weights_bytes == model.weights_bytes
        assert served.cache.hot_bytes == 100 * BLOCK
        assert served.book is None


def test_weights_that_do_not_fit_leave_kv_its_least(model, tmp_path):
    ram = int(0.8 * model.weights_bytes) * 4 // 3
    with serving(model, **on_disk(tmp_path, ram_bytes=ram, kv_min_frac=0)) as tiers:
        served = tiers._serving
        assert served.cache.hot_bytes == 8 * BLOCK
        assert served.balance.weights_bytes + 8 * BLOCK == served.balance.shared_bytes
        assert model.needed_bytes <= served.balance.weights_bytes < model.weights_bytes
        assert served.book is not None


@pytest.mark.parametrize("resume", ["load", "adaptive"])
def test_costs_are_learnt_whichever_way_is_taken(model, resume):
    with serving(model, resume=resume) as tiers:
        served = tiers._serving
        with tiers.session() as session:
            session.feed(list(range(40)))
        assert served.chooser.recompute_s(0, 40) > 0
        assert isinstance(served.chooser, Always) == (resume == "load")
