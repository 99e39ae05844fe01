"""Our engine behind the calls of peers: the same text, however it is grown and cut."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.inference.own_engine import FIRST_ID, OwnEngine, random_ids
from workbench.benchmark.peers.peer import PeerSettings


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path, kind="Q4_1", quantized=True)


def test_cutting_back_gives_the_same_token_again(model):
    with OwnEngine(PeerSettings(model, 128)) as engine:
        ids = random_ids(model, 70, 0)
        assert engine.prefill_seconds(ids) > 0
        engine.decode(3, FIRST_ID)
        first = engine.sequence.token_ids
        engine.truncate(70)
        seconds = engine.decode(3, FIRST_ID)
        assert engine.sequence.token_ids == first == [*ids, *first[70:]]
        assert first[70] == FIRST_ID
        assert seconds.shape == (3,)
        assert (seconds > 0).all()


def test_a_reset_forgets_and_other_threads_find_the_same_text(model):
    with OwnEngine(PeerSettings(model, 128)) as engine:
        ids = random_ids(model, 20, 1)
        engine.prefill_seconds(ids)
        engine.decode(4)
        expected = engine.sequence.token_ids
        engine.reset()
        assert engine.sequence.n_tokens == 0
        engine.use_threads(2)
        engine.prefill_seconds(ids)
        engine.decode(4)
        assert engine.sequence.token_ids == expected


def test_loading_anew_begins_an_empty_text_and_closing_twice_is_harmless(model):
    engine = OwnEngine(PeerSettings(model, 128))
    engine.prefill_seconds([1, 2])
    assert engine.load_seconds() > 0
    assert engine.sequence.n_tokens == 0
    engine.close()
    engine.close()


def test_random_ids_are_of_the_vocabulary_and_seeded(model):
    ids = random_ids(model, 500, 3)
    assert ids == random_ids(model, 500, 3) != random_ids(model, 500, 4)
    assert set(ids) == set(range(40))
    assert np.diff(ids).any()
