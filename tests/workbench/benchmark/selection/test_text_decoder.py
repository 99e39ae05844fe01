"""A decoder knows a rule for every way; the attention itself sums to one over a text's blocks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from workbench.benchmark.selection.text_decoder import Decoder, _TrueWeights
from workbench.benchmark.selection.ways import EVERYTHING, RECENT, Way
from workbench.tiering.tiered_kv_cache import Recent
from workbench.tiering.tiered_kv_cache.selection import OncePerFrame

MODEL = SimpleNamespace(config=SimpleNamespace(layers=3))


def test_everything_needs_no_choice_and_others_have_one():
    decoder = Decoder(SimpleNamespace(model=MODEL), [], [1.0, 1.0, 1.0])
    assert decoder.selection(Way(EVERYTHING), None) is None
    assert isinstance(decoder.selection(Way(RECENT, 0.3), None), Recent)
    shared = decoder.selection(Way(RECENT, 0.3, once_per_frame=True), None)
    assert isinstance(shared, OncePerFrame)


def test_true_weights_are_attention_summed_by_block():
    rng = np.random.default_rng(0)
    k = rng.standard_normal((1, 32, 2, 8), np.float32)  # layers, tokens, KV heads, dim
    cold = SimpleNamespace(
        text=SimpleNamespace(k=k), layout=SimpleNamespace(block_tokens=16), model=MODEL
    )
    query = rng.standard_normal((4, 8), np.float32)
    found = _TrueWeights(cold).weights(0, query)
    assert found.shape == (2, 4)
    np.testing.assert_allclose(found.sum(axis=0), 1, rtol=1e-5)
    scores = k[0, :, 1] @ query[3] / np.sqrt(8)
    mass = np.exp(scores) / np.exp(scores).sum()
    assert found[0, 3] == pytest.approx(mass[:16].sum(), rel=1e-4)
