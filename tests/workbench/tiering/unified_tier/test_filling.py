"""A sequence filled from both ends is the computed one, bit for bit, however little was loaded."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import ids, write_model
from tests.workbench.tiering.unified_tier.opened import on_disk, serving
from workbench.inference.llama import LlamaModel
from workbench.tiering.unified_tier.filling import fill_from_both_ends
from workbench.tiering.unified_tier.load_or_recompute import LoadOrRecompute
from workbench.tiering.unified_tier.session import Session

TOKENS = ids(64 * 6 + 10)


@pytest.fixture
def model(tmp_path):
    with LlamaModel.open(write_model(tmp_path), threads=1) as model:
        yield model


@pytest.fixture
def settings(model, tmp_path):
    """Return where a computed text lies."""
    settings = on_disk(tmp_path)
    with serving(model, **settings) as tiers, tiers.session() as session:
        session.feed(TOKENS)
        assert session.persist()
    return settings


def expected(model):
    with serving(model) as tiers, tiers.session() as session:
        return session.feed(TOKENS)


def test_both_ends_make_the_sequence_that_computing_makes(model, settings):
    with serving(model, **settings) as tiers:
        filled = fill_from_both_ends(model, tiers.cache, TOKENS[:-1], step_tokens=64)
        with filled.sequence as sequence:
            assert filled.computed_tokens + filled.loaded_tokens == len(TOKENS) - 1
            assert sequence.token_ids == TOKENS[:-1]
            np.testing.assert_array_equal(model.forward(TOKENS[-1:], sequence), expected(model))


def test_without_anything_to_load_everything_is_computed(model):
    with serving(model) as tiers:
        filled = fill_from_both_ends(model, tiers.cache, TOKENS)
        assert (filled.computed_tokens, filled.loaded_tokens) == (len(TOKENS), 0)
        assert filled.read_tokens == 0
        filled.sequence.close()


def test_a_session_chooses_and_its_result_is_the_same_by_every_way(model, settings):
    chooser = LoadOrRecompute(1000)
    result = expected(model)

    def resumed():
        with (
            serving(model, **settings) as tiers,
            Session(model, tiers.cache, chooser=chooser) as session,
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
