"""The library's door: what it opens, refuses, keeps and finds again."""

import threading

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from tests.workbench.tiering.unified_tier.opened import on_disk, serving, spoiled
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.tiering.encryption import MasterKey
from workbench.tiering.ssd_tier import StoreSealedError
from workbench.tiering.unified_tier import Health, UnifiedTier, UnifiedTierConfig
from workbench.tiering.unified_tier.events import Kind


@pytest.fixture
def model(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        yield model


def test_memory_is_for_the_tokens_asked_for(model):
    with serving(model, dtype="int8", hot_tokens=1000) as tiers:
        stats = tiers.cache.stats()
        assert tiers.cache.layout.geometry == model.kv_geometry("int8")
        assert 1000 <= stats.hot_capacity_blocks * 64 < 1400
        assert stats.staging_bytes == 0


def test_a_folder_makes_an_ssd_tier(model, tmp_path):
    with serving(model, **on_disk(tmp_path)):
        assert any((tmp_path / "store").iterdir())


def test_a_key_seals_the_folder_and_opens_it_again(model, tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_KEY_FILE", raising=False)
    MasterKey.create(tmp_path / "key")
    sealed = on_disk(tmp_path, key=str(tmp_path / "key"))
    token_ids = list(range(64))
    k = np.ones((64, *model_shape(model)), np.float16)
    with serving(model, **sealed) as tiers, tiers.cache.sequence() as sequence:
        sequence.append(token_ids, k, k)
        assert sequence.persist()
    for options, n_found in ((sealed, 64), (sealed | {"tenant": "another"}, 0)):
        with serving(model, **options) as tiers, tiers.cache.load(token_ids) as load:
            assert load.wait() == n_found
    with (
        pytest.raises(StoreSealedError, match="--key-file"),
        serving(model, **on_disk(tmp_path)),
    ):
        pass
    monkeypatch.setenv("WORKBENCH_KEY_FILE", str(tmp_path / "key"))
    with serving(model, **on_disk(tmp_path)) as tiers, tiers.cache.load(token_ids) as load:
        assert load.wait() == 64


def model_shape(model):
    geometry = model.kv_geometry("float16")
    return geometry.layers, geometry.kv_heads, geometry.head_dim


def test_tenants_of_a_plain_folder_find_their_own_blocks_only(model, tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_KEY_FILE", raising=False)
    plain = on_disk(tmp_path, tenant="me")
    token_ids = list(range(64))
    k = np.ones((64, *model_shape(model)), np.float16)
    with serving(model, **plain) as tiers, tiers.cache.sequence() as sequence:
        sequence.append(token_ids, k, k)
        assert sequence.persist()
    for tenant, n_found in (("me", 64), ("you", 0), ("", 0)):
        options = plain | {"tenant": tenant}
        with serving(model, **options) as tiers, tiers.cache.load(token_ids) as load:
            assert load.wait() == n_found


def test_a_codec_makes_the_folders_blocks_smaller_and_they_are_found_again(model, tmp_path):
    token_ids, written = list(range(64)), {}
    k = np.ones((64, *model_shape(model)), np.float16)
    for codec in ("none", "int8", "int8,int4:1"):
        options = on_disk(tmp_path / codec, codec=codec)
        with serving(model, **options) as tiers, tiers.cache.sequence() as sequence:
            sequence.append(token_ids, k, k)
            assert sequence.persist()
            written[codec] = tiers.cache.stats().ssd_written_bytes
        with serving(model, **options) as tiers, tiers.cache.load(token_ids) as load:
            assert load.wait() == 64
            np.testing.assert_allclose(load.sequence.gather(0, 0, 64)[0], 1, rtol=0.01)
    assert written["int8,int4:1"] < written["int8"] < written["none"]


def test_a_codec_of_layers_that_are_not_there_is_refused(model, tmp_path):
    options = on_disk(tmp_path, codec="int8,int4:1-99")
    with (
        pytest.raises(UsageError, match="'int4' cannot be of layers 1-99"),
        serving(model, **options),
    ):
        pass


def test_a_server_that_is_not_there_is_only_misses(model, tmp_path):
    settings = on_disk(tmp_path, network_url="valkey://127.0.0.1:1")
    with serving(model, **settings) as tiers, tiers.cache.load(list(range(64))) as load:
        assert load.wait() == 0


# Sessions by name


@pytest.mark.parametrize("sealed", [False, True])
def test_a_named_session_goes_on_after_a_restart(model, tmp_path, sealed):
    settings = on_disk(tmp_path)
    if sealed:
        MasterKey.create(tmp_path / "key")
        settings["key"] = str(tmp_path / "key")
    with serving(model) as tiers, tiers.session() as session:
        session.feed(ids(90))
        expected = session.feed([7, 8])
    with serving(model, **settings) as tiers, tiers.session("chat-1") as session:
        session.feed(ids(90))
    with serving(model, **settings) as tiers:
        with tiers.session("chat-1") as session:
            assert session.token_ids == ids(90)
            np.testing.assert_array_equal(session.feed([7, 8]), expected)
            assert session.resumed_tokens == 90
        with tiers.session("chat-1") as session:
            assert session.token_ids == [*ids(90), 7, 8]
        with tiers.session("chat-2") as other:
            assert other.token_ids == []
        assert tiers.forget("chat-1")
        assert not tiers.forget("chat-1")
        with tiers.session("chat-1") as session:
            assert session.token_ids == []


def test_a_session_that_is_still_open_is_kept_when_the_tiers_are_closed(model, tmp_path):
    with serving(model, **on_disk(tmp_path)) as tiers:
        tiers.session("open").feed(ids(20))
    with serving(model, **on_disk(tmp_path)) as tiers, tiers.session("open") as session:
        assert session.token_ids == ids(20)
        with pytest.raises(UsageError, match="open already"):
            tiers.session("open")


def test_names_are_for_those_with_a_folder_and_sessions_for_those_with_a_model(model):
    with UnifiedTier(UnifiedTierConfig()) as tiers:
        with pytest.raises(UsageError, match="serve"):
            tiers.session()
        tiers.serve(model)
        with pytest.raises(UsageError, match="already"):
            tiers.serve(model)
        with pytest.raises(UsageError, match="ssd_folder"):
            tiers.session("chat-1")
    with pytest.raises(UsageError, match="closed"):
        tiers.session()
    tiers.close()


def test_an_adaptive_tier_answers_as_any_other(model, tmp_path):
    with serving(model, **on_disk(tmp_path)) as tiers, tiers.session() as session:
        expected = session.feed(ids(300))
        assert session.persist()
    settings = on_disk(tmp_path, resume="adaptive", eviction="s3_fifo", write="write_back")
    with serving(model, **settings) as tiers, tiers.session() as session:
        np.testing.assert_array_equal(session.feed(ids(300)), expected)


def test_a_session_whose_record_is_damaged_is_forgotten_and_says_so(model, tmp_path):
    with serving(model, **on_disk(tmp_path)) as tiers, tiers.session("chat-1") as session:
        expected = session.feed(ids(90))
    assert spoiled(tmp_path / "store")
    with serving(model, **on_disk(tmp_path)) as tiers:
        with tiers.session("chat-1") as session:
            assert session.token_ids == []
            np.testing.assert_array_equal(session.feed(ids(90)), expected)
            assert session.resumed_tokens == 0
        status = tiers.status()
        assert status.sessions_forgotten == 1
        assert status["ssd"].health is Health.DEGRADED
        assert Kind.SESSION_FORGOTTEN in [event.kind for event in tiers.events]
        with tiers.session("chat-1") as session:
            assert session.token_ids == ids(90)


def test_two_threads_cannot_open_one_name(model, tmp_path):
    opened, refused = [], []

    def open_it(tiers):
        try:
            opened.append(tiers.session("chat-1"))
        except UsageError:
            refused.append(1)

    with serving(model, **on_disk(tmp_path)) as tiers:
        threads = [threading.Thread(target=open_it, args=(tiers,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(opened), len(refused)) == (1, 7)
