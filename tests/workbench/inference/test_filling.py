"""A sequence filled from both ends is the computed one, bit for bit, however little was loaded."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from workbench.inference.filling import fill_from_both_ends
from workbench.inference.llama import LlamaModel
from workbench.inference.session import Session
from workbench.inference.session_store import StoreOptions, open_cache
from workbench.tiering.unified_tier.load_or_recompute import LoadOrRecompute

TOKENS = ids(64 * 6 + 10)


@pytest.fixture
def model(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        yield model


@pytest.fixture
def options(model, tmp_path):
    """Return where a computed text lies."""
    options = StoreOptions(folder=tmp_path / "store", capacity_bytes=256 << 20)
    with open_cache(model, options) as cache, Session(model, cache) as session:
        session.feed(TOKENS)
        assert session.persist()
    return options


def expected(model):
    with open_cache(model, StoreOptions()) as cache, Session(model, cache) as session:
        return session.feed(TOKENS)


def test_both_ends_make_the_sequence_that_computing_makes(model, options):
    with open_cache(model, options) as cache:
        model.use_cache(cache.layout)
        filled = fill_from_both_ends(model, cache, TOKENS[:-1], step_tokens=64)
        with filled.sequence as sequence:
            assert filled.computed_tokens + filled.loaded_tokens == len(TOKENS) - 1
            assert sequence.token_ids == TOKENS[:-1]
            np.testing.assert_array_equal(model.forward(TOKENS[-1:], sequence), expected(model))


def test_without_anything_to_load_everything_is_computed(model):
    with open_cache(model, StoreOptions()) as cache:
        model.use_cache(cache.layout)
        filled = fill_from_both_ends(model, cache, TOKENS)
        assert (filled.computed_tokens, filled.loaded_tokens) == (len(TOKENS), 0)
        assert filled.read_tokens == 0
        filled.sequence.close()


def test_a_session_chooses_and_its_result_is_the_same_by_every_way(model, options):
    chooser = LoadOrRecompute(1000)
    result = expected(model)

    def resumed():
        with (
            open_cache(model, options) as cache,
            Session(model, cache, chooser=chooser) as session,
        ):
            np.testing.assert_array_equal(session.feed(TOKENS), result)
            return session.resumed_tokens

    resumed()  # both ends, which teaches both costs
    for _ in range(40):
        chooser.computed(0, 64, 1e6)
    assert resumed() == 64 * 6  # loading
    for _ in range(40):
        chooser.loaded(64, 1e9)
        chooser.computed(0, 64, 1e-6)
    assert resumed() == 0  # computing
