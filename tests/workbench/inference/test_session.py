"""Sessions: resumed from what is cached, in memory and on the SSD tier."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import cache_for, ids, write_model
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.inference.session import Session
from workbench.inference.session_store import StoreOptions, open_cache


@pytest.fixture
def model(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        yield model


def test_a_prefix_in_memory_is_not_computed_again(model):
    with cache_for(model) as cache:
        with Session(model, cache) as first:
            expected = first.feed(ids(50))
            assert first.resumed_tokens == 0
        with Session(model, cache) as second:
            np.testing.assert_array_equal(second.feed(ids(50)), expected)
            assert second.resumed_tokens == 48
            assert second.token_ids == ids(50)


def test_a_text_survives_a_restart_whole(model, tmp_path):
    options = StoreOptions(folder=tmp_path / "store", capacity_bytes=256 << 20)
    with open_cache(model, options) as cache, Session(model, cache) as session:
        session.feed(ids(90))
        assert session.persist()
        expected = session.feed([7, 8])
    with open_cache(model, options) as cache, Session(model, cache) as session:
        np.testing.assert_array_equal(session.feed([*ids(90), 7, 8]), expected)
        assert session.resumed_tokens == 90
        assert cache.stats().cold_hits == 2


def test_another_models_blocks_are_not_found(model, tmp_path):
    options = StoreOptions(folder=tmp_path / "store", capacity_bytes=256 << 20)
    with open_cache(model, options) as cache, Session(model, cache) as session:
        session.feed(ids(90))
        assert session.persist()
    (tmp_path / "other").mkdir()
    path = write_model(tmp_path / "other", seed=1)
    with (
        LlamaModel.open(path, threads=1) as other,
        open_cache(other, options) as cache,
        Session(other, cache) as session,
    ):
        session.feed(ids(90))
        assert session.resumed_tokens == 0


def test_an_empty_text_cannot_be_kept_and_no_tokens_cannot_be_fed(model):
    with cache_for(model) as cache, Session(model, cache) as session:
        assert not session.persist()
        assert session.token_ids == []
        with pytest.raises(UsageError, match="at least one"):
            session.feed([])
