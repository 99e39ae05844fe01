"""The tiers that the command line opens."""

from dataclasses import replace

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.inference.session_store import StoreOptions, open_cache
from workbench.tiering.encryption import MasterKey
from workbench.tiering.ssd_tier import StoreSealedError


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


@pytest.mark.parametrize(
    "options",
    [
        StoreOptions(hot_tokens=0),
        StoreOptions(dtype="int3"),
        StoreOptions(codec="int3"),
        StoreOptions(network="http://cache"),
        StoreOptions(network="valkey://127.0.0.1:1"),  # needs a folder to bring blocks to
    ],
)
def test_options_out_of_range_are_refused(model, options):
    with pytest.raises(UsageError), open_cache(model, options):
        pass


def test_a_key_seals_the_folder_and_opens_it_again(model, tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_KEY_FILE", raising=False)
    MasterKey.create(tmp_path / "key")
    sealed = StoreOptions(
        folder=tmp_path / "store", capacity_bytes=256 << 20, key=str(tmp_path / "key")
    )
    token_ids = list(range(64))
    k = np.ones((64, *model_shape(model)), np.float16)
    with open_cache(model, sealed) as cache, cache.sequence() as sequence:
        sequence.append(token_ids, k, k)
        assert sequence.persist()
    for options, n_found in ((sealed, 64), (replace(sealed, tenant="another"), 0)):
        with open_cache(model, options) as cache, cache.load(token_ids) as load:
            assert load.wait() == n_found
    with (
        pytest.raises(StoreSealedError, match="--key-file"),
        open_cache(model, replace(sealed, key=None)),
    ):
        pass
    monkeypatch.setenv("WORKBENCH_KEY_FILE", str(tmp_path / "key"))
    with open_cache(model, replace(sealed, key=None)) as cache, cache.load(token_ids) as load:
        assert load.wait() == 64


def model_shape(model):
    geometry = model.kv_geometry("float16")
    return geometry.layers, geometry.kv_heads, geometry.head_dim


def test_tenants_of_a_plain_folder_find_their_own_blocks_only(model, tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_KEY_FILE", raising=False)
    plain = StoreOptions(folder=tmp_path / "store", capacity_bytes=256 << 20, tenant="me")
    token_ids = list(range(64))
    k = np.ones((64, *model_shape(model)), np.float16)
    with open_cache(model, plain) as cache, cache.sequence() as sequence:
        sequence.append(token_ids, k, k)
        assert sequence.persist()
    for tenant, n_found in (("me", 64), ("you", 0), ("", 0)):
        options = replace(plain, tenant=tenant)
        with open_cache(model, options) as cache, cache.load(token_ids) as load:
            assert load.wait() == n_found


def test_a_key_without_a_folder_is_a_mistake(model, tmp_path):
    with (
        pytest.raises(UsageError, match="a key seals a folder"),
        open_cache(model, StoreOptions(key=str(tmp_path / "key"))),
    ):
        pass


def test_a_codec_makes_the_folders_blocks_smaller_and_they_are_found_again(model, tmp_path):
    token_ids, written = list(range(64)), {}
    k = np.ones((64, *model_shape(model)), np.float16)
    for codec in ("none", "int8"):
        options = StoreOptions(folder=tmp_path / codec, capacity_bytes=256 << 20, codec=codec)
        with open_cache(model, options) as cache, cache.sequence() as sequence:
            sequence.append(token_ids, k, k)
            assert sequence.persist()
            written[codec] = cache.stats().ssd_written_bytes
        with open_cache(model, options) as cache, cache.load(token_ids) as load:
            assert load.wait() == 64
            np.testing.assert_allclose(load.sequence.gather(0, 0, 64)[0], 1, rtol=0.01)
    assert written["int8"] < written["none"]


def test_a_server_that_is_not_there_is_only_misses(model, tmp_path):
    options = StoreOptions(
        folder=tmp_path / "store", capacity_bytes=256 << 20, network="valkey://127.0.0.1:1"
    )
    with open_cache(model, options) as cache, cache.load(list(range(64))) as load:
        assert load.wait() == 0
