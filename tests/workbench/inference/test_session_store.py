"""The tiers that the command line opens."""

import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.inference.session_store import StoreOptions, open_cache


@pytest.fixture
def model(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        yield model


def test_memory_is_for_the_tokens_asked_for(model):
    with open_cache(model, StoreOptions(dtype="int8", hot_tokens=1000)) as cache:
        assert cache.layout.geometry == model.kv_geometry("int8")
        assert 1000 <= cache.stats().hot_capacity_blocks * 64 < 1400
        assert cache.stats().staging_bytes == 0


def test_a_folder_makes_an_ssd_tier(model, tmp_path):
    options = StoreOptions(folder=tmp_path / "store", capacity_bytes=256 << 20)
    with open_cache(model, options):
        assert any((tmp_path / "store").iterdir())


@pytest.mark.parametrize("options", [StoreOptions(hot_tokens=0), StoreOptions(dtype="int3")])
def test_options_out_of_range_are_refused(model, options):
    with pytest.raises(UsageError), open_cache(model, options):
        pass
