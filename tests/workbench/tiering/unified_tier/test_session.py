"""Sessions: resumed from what is cached, in memory and on the SSD tier."""

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import cache_for, ids, write_model
from tests.workbench.tiering.unified_tier.opened import on_disk, serving, spoiled
from workbench.errors import UsageError
from workbench.inference.llama import LlamaModel
from workbench.tiering.unified_tier.session import Session


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
    settings = on_disk(tmp_path)
    with serving(model, **settings) as tiers, tiers.session() as session:
        session.feed(ids(90))
        assert session.persist()
        expected = session.feed([7, 8])
    with serving(model, **settings) as tiers, tiers.session() as session:
        np.testing.assert_array_equal(session.feed([*ids(90), 7, 8]), expected)
        assert session.resumed_tokens == 90
        assert tiers.cache.stats().cold_hits == 2


def test_another_models_blocks_are_not_found(model, tmp_path):
    settings = on_disk(tmp_path)
    with serving(model, **settings) as tiers, tiers.session() as session:
        session.feed(ids(90))
        assert session.persist()
    (tmp_path / "other").mkdir()
    path = write_model(tmp_path / "other", seed=1)
    with (
        LlamaModel.open(path, threads=1) as other,
        serving(other, **settings) as tiers,
        tiers.session() as session,
    ):
        session.feed(ids(90))
        assert session.resumed_tokens == 0


def test_an_empty_text_cannot_be_kept_and_no_tokens_cannot_be_fed(model):
    with cache_for(model) as cache, Session(model, cache) as session:
        assert not session.persist()
        assert session.token_ids == []
        with pytest.raises(UsageError, match="at least one"):
            session.feed([])


def test_blocks_that_are_lost_are_computed_again_with_the_same_result(tmp_path, model):
    """Two blocks' room in memory; what lies on disk is damaged while the text is open."""
    texts = [ids(64 * 5 + 3), ids(70, seed=3)]

    def logits(spoil):
        with (
            serving(model, **on_disk(tmp_path / spoil, hot_tokens=1)) as tiers,
            tiers.session() as session,
        ):
            found = [session.feed(texts[0])]
            assert tiers.cache.drain()
            if spoil == "damaged":
                assert spoiled(tmp_path / spoil / "store")
            found.append(session.feed(texts[1]))
            return found, session.recomputed_tokens, session.token_ids

    (expected, none_lost, text), (found, n_lost, again) = logits("sound"), logits("damaged")
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert none_lost == 0
    assert n_lost > 0
    assert again == text == [*texts[0], *texts[1]]
