"""What the tiers ask of a model, the real one answers."""

from tests.workbench.inference.tiny_models import write_model
from workbench.inference.llama import LlamaModel
from workbench.tiering.unified_tier.served_model import AdjustableWeights


def test_a_model_without_a_budget_for_its_weights_is_told_apart(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        names = ("weights_bytes", "weights_budget_bytes", "weights_wait_s", "set_weights_budget")
        has_all = all(hasattr(model, name) for name in names)
        assert isinstance(model, AdjustableWeights) == has_all
